/** What a file of vectors is to its readers: batches of rows, one after the other, in the order of the file. Types only. */

/** Rows `first … first + count − 1` of a file. Arrays are the taker's: the source does not touch them again. */
export interface VectorBatch {
  /** Number of the first row in the file. */
  readonly first: number;
  /** Rows of the file that the batch stands for, those left out among them. */
  readonly count: number;
  /** Numbers of the rows that are here, ascending; `first`, `first + 1`, … where none was left out. */
  readonly rows: Uint32Array;
  /** [rows × dimensions] */
  readonly vectors: Float32Array;
  /** [rows], where the format has ids; undefined for a row without one, which its number names within the file. */
  readonly ids?: readonly (string | undefined)[];
  /** [rows], where the file has more than ids and vectors: whatever stands there, unchecked; undefined for a row that has nothing. */
  readonly metadata?: readonly (Readonly<Record<string, unknown>> | undefined)[];
  /** Rows that hold no vector of the right width, in the order of the file. */
  readonly rejected: readonly RejectedRow[];
}

export interface RejectedRow {
  readonly row: number;
  /** Where the row has one. */
  readonly id?: string;
  readonly reason: string;
}

export interface BatchOptions {
  /** First row wanted. Default 0. */
  readonly from?: number;
  /** Rows of a batch: fewer at the end of the file or where rows are very wide. */
  readonly size: number;
}

/** A file of vectors that is open. Holds one file handle until it is closed. */
export interface VectorSource {
  readonly path: string;
  readonly format: string;
  readonly dimensions: number;
  /** Undefined where only reading to the end would tell. */
  readonly rowCount: number | undefined;
  /** Of the file. */
  readonly sizeBytes: number;
  /** The file beside it that ids and metadata come from. */
  readonly companion?: string;
  /** Reads when the next batch is asked for, so a slow taker slows the reader. Rejects with CORRUPT. */
  batches(options: BatchOptions): AsyncGenerator<VectorBatch, void, void>;
  close(): Promise<void>;
}

/** Which fields of a format with named fields are what. */
export interface FieldNames {
  /** Default `"id"`; where there is no such field rows have their numbers. */
  readonly id?: string | undefined;
  /** Default `"vector"`; of CSV also the prefix of one column an element (`vector_0`, `vector_1`, …). Of safetensors the tensor's name. */
  readonly vector?: string | undefined;
}

/** Lists of row numbers of one width, such as true neighbours. */
export interface NeighbourLists {
  readonly count: number;
  readonly width: number;
  /** [count × width] row numbers, 0xffffffff for "none" (negative in the file). */
  readonly rows: Uint32Array;
}
