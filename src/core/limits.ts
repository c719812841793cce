/**
 * Every bound of the engine in one place: what it limits, why this size, what breaks if it grows.
 * Nothing else in `src` may queue, cache, pool or retry without a number from here.
 */

const MiB = 2 ** 20;

type Bound =
  | "maxDimensions"
  | "maxResults"
  | "maxRows"
  | "chunkBytes"
  | "blockBytes"
  | "blockRows"
  | "spanPairs"
  | "spanBytes"
  | "tileQueries"
  | "tileBytes"
  | "sliceElements"
  | "batchQueries"
  | "batchElements"
  | "batchResults"
  | "fairQueries"
  | "batchesInFlight"
  | "gpuBatchesInFlight"
  | "queuedQueries"
  | "batchWindowMs"
  | "maxBatchWindowMs"
  | "maxThreads"
  | "workPerThread"
  | "pageAlone"
  | "pageWork"
  | "pageSettles"
  | "scanElements"
  | "wasmScanElements"
  | "workerCrashes"
  | "workerStartMs"
  | "marginRows"
  | "rescanRows"
  | "rescanTiles"
  | "scoreBytes"
  | "stagingBytes"
  | "stagingBuffers"
  | "uploadBytesInFlight"
  | "submitWork"
  | "submitMs"
  | "leastSubmitWork"
  | "mostSubmitWork"
  | "sampleLeastRows"
  | "sampleMostRows"
  | "appendFromQueries"
  | "expectedCandidates"
  | "codedCandidates"
  | "candidateWorkgroups"
  | "readBackBuffers"
  | "bindGroups"
  | "certifiedBytes"
  | "learnRows"
  | "codedBytes"
  | "codedRowBytes"
  | "encodeWork"
  | "learnStep"
  | "codeSurvivors"
  | "shortlistFrom"
  | "memoryAttempts"
  | "leastScoreBytes"
  | "leastBudgetBytes"
  | "basisRows"
  | "basisElements"
  | "basisDirections"
  | "basisWork"
  | "prefixQueries"
  | "prefixRows"
  | "prefixWork"
  | "adoptReads"
  | "gpuFailures"
  | "lastingDeviceMs";

export const LIMITS: Readonly<Record<Bound, number>> = {
  /** Largest `dimensions`; the contract's. */
  maxDimensions: 65_535,
  /** queries × k of one call: the result arrays take 8 bytes each, 2 GiB in all. The contract's. */
  maxResults: 2 ** 28,
  /** Row numbers are u32 and 0xffffffff means "none". */
  maxRows: 2 ** 32 - 1,

  /** Rows of one store chunk: the contract's 256 MiB, so that no single ArrayBuffer bounds an index. */
  chunkBytes: 256 * MiB,
  /** Rows are dirtied, sent to workers and uploaded to a GPU by block; larger blocks cost more per small change. */
  blockBytes: 4 * MiB,
  /** Most rows a block holds; a multiple of 32, so that a bitmap word never straddles two blocks. A span ends with its block, and a single query's span should last longer than starting it (1 µs). */
  blockRows: 4096,
  /** Rows × queries a worker scans between two looks at its thresholds: room for as many hits. */
  spanPairs: 16_384,
  /** Bytes of rows that several queries pass over in turn: they stay in a 512 KiB L2 beside the queries. */
  spanBytes: 256 * 1024,
  /** Queries that share one pass over the rows in a worker: × dimensions × 4 B must stay in L2 (see tileBytes). */
  tileQueries: 32,
  tileBytes: 64 * 1024,

  /** Elements read or written in one synchronous stretch on the caller's thread: 1–5 ms of add() on a 2-core EPYC, by its mood. */
  sliceElements: 1 << 18,

  /** Queries of one device batch. Larger batches gain nothing on any backend and delay the others' turn. */
  batchQueries: 1024,
  /** Elements that the queries of one batch bring along (vectors, and bitmaps of filters): two slices of plain copying, since a batch is put together in one stretch. */
  batchElements: 1 << 19,
  /** Result slots (queries × k) of one batch, for the same reason: handing them out is copying. */
  batchResults: 1 << 20,
  /** Queries that one caller may put into a batch while others wait: the fairness quantum. */
  fairQueries: 256,
  /** Batches under way at once: one being scanned, one being put together; the longer others wait the larger is their batch. On a GPU one more, which the workers settle. */
  batchesInFlight: 2,
  gpuBatchesInFlight: 3,
  /** Default `maxQueued`: 64 batches; beyond it latency is seconds and the caller should know. */
  queuedQueries: 65_536,
  /** Default and largest `batchWindowMs`. 0: the next turn of the event loop, which already gathers a burst. */
  batchWindowMs: 0,
  maxBatchWindowMs: 1000,

  /** Most CPU workers of one index. */
  maxThreads: 256,
  /** Multiply-adds of int8 (of float32: a quarter) below which a further worker is not worth its wake-up, about 50 µs. */
  workPerThread: 1 << 21,
  /** Multiply-adds of int8 up to which a search is the caller's thread's alone, where that sees the rows and has WASM: 0.4 ms, where a worker's answer takes 0.2 ms to arrive. */
  pageAlone: 1 << 23,
  /** Rows that a GPU search proposes and that this thread settles itself: 0.2 ms at most, what a worker's answer takes to arrive. */
  pageSettles: 256,
  /** The most that this thread takes of a search, in slices: 3 ms. */
  pageWork: 1 << 26,
  /** Multiply-adds of a scan that take as long as an element of `sliceElements`, in plain JS; and in WASM: 8 M a slice, 1.6 ms of float32 that are not in a cache. */
  scanElements: 8,
  wasmScanElements: 32,
  /** A worker slot that crashed this often is retired and its rows go to the others. */
  workerCrashes: 3,
  /** A worker that has not answered its first call by then is taken for blocked (a strict page, a lost script). */
  workerStartMs: 15_000,

  /** Survivors that are read back beyond k without a rescan: max(16, k / 4) in the contract's read-back budget of 8 bytes each. */
  marginRows: 16,
  /** Survivors of one query that a GPU rescan reads back; beyond it a sequential float64 scan is cheaper than gathering. */
  rescanRows: 1 << 17,
  /** GPU tiles of a second try in one turn: each may hold a read-back buffer of 512 KiB. */
  rescanTiles: 16,
  /** Bytes of the keys and candidates of one GPU query tile; more tiles cost more passes over the rows. */
  scoreBytes: 256 * MiB,
  /** Upload piece: a staging buffer, and the slice the caller's thread copies at once. */
  stagingBytes: 4 * MiB,
  /** Staging buffers of an index: one being written, one being repacked, one waiting. */
  stagingBuffers: 3,
  /** Bytes handed to the device queue before waiting for it; the driver keeps its own copy of each. */
  uploadBytesInFlight: 64 * MiB,
  /** Multiply-adds of one GPU submit before anything is measured: 50 ms at 0.3 Tflop/s, the slowest GPU that is worth using. */
  submitWork: 2 ** 33,
  /** What one submit may take: watchdogs fire at 2 s and more, a page wants to paint. */
  submitMs: 50,
  /** Bounds of what is measured: a submit costs some 20 µs, and one that runs for seconds blocks the screen. */
  leastSubmitWork: 2 ** 26,
  mostSubmitWork: 2 ** 42,

  /** Rows that a GPU scan of many queries samples for its thresholds: below 4,096 the k-th is a loose bound, beyond 65,536 selecting it takes longer than what it saves. */
  sampleLeastRows: 4096,
  sampleMostRows: 65_536,
  /** Queries from which a GPU tile appends candidates instead of writing 4 bytes a row and query (KERNELS b.3). */
  appendFromQueries: 16,
  /** Candidates that a query of a GPU tile lets through between two tightenings of its threshold. */
  expectedCandidates: 4096,
  /** Rows that int8 codes are first expected to leave a query of such a tile (an H200 at 1M × 128, 64 directions: 5,400); more are made room for once they were seen. */
  codedCandidates: 8192,
  /** Workgroups that walk over candidate lists, all queries together: four for each multiprocessor of a large GPU, and then some. */
  candidateWorkgroups: 8192,
  /** Read-back buffers kept: one mapped, one on its way, one being recorded. */
  readBackBuffers: 3,
  /** Bind groups kept; a search uses some dozens. */
  bindGroups: 1024,
  /** Bytes of float rows from which `scan: "auto"` makes int8 codes of them: below, a scan takes less than the round trip. */
  certifiedBytes: 32 * MiB,
  /** Rows from which principal directions are learnt, and again when there are sixteen times as many: fewer say little about the rest. */
  learnRows: 2048,

  /** Bytes of float rows from which the CPU makes int8 codes of them under `scan: "auto"`: a scan of fewer takes some 50 µs. And of a single row: below, facts weigh as much as the row. */
  codedBytes: MiB,
  codedRowBytes: 128,
  /** Multiply-adds, about, of one turn of encoding in a worker, during which no search runs: 5 ms. */
  encodeWork: 2 ** 25,
  /** Multiply-adds, about, of one turn of learning in a worker, which a search may have to wait for: 10 ms of plain JS. */
  learnStep: 2 ** 23,
  /** Rows wanted from which the CPU keeps a shortlist of estimates and settles what is left at the end: keeping fewer settled is cheaper. */
  shortlistFrom: 64,
  /** One in so many pairs of row and query may survive the codes before a tile of queries does without them. */
  codeSurvivors: 4,

  /** Times that a GPU search which ran out of device memory is tried again with less before it goes to the CPU, and how little it may come to. */
  memoryAttempts: 6,
  leastScoreBytes: 4 * MiB,
  leastBudgetBytes: 16 * MiB,

  /**
   * Reads of a file under way at once while its rows are adopted, 1 MiB each: the system finds memory for fresh
   * pages on as many threads (256 MiB on 2 cores, Node 20: 870 ms by one, 560 by two, 500 by four). libuv has four.
   */
  adoptReads: 4,

  /** GPU batches that may fail in a row, without the device being lost, before the GPU is given up. */
  gpuFailures: 3,
  /** A GPU device that lasted so long was a good one though nobody searched; one lost sooner and unused counts against RECOVERY_DELAYS_MS. */
  lastingDeviceMs: 60_000,

  /** Rows that principal directions are learnt from: 10,000 settle the leading directions; more cost time and change little. */
  basisRows: 10_000,
  /** Numbers of that sample (rows × dimensions): 32 MiB of float64, twice while it is transposed. */
  basisElements: 2 ** 22,
  /** Directions learnt by default: a longer prefix than 512 hardly beats the full int8 code, and costs 12 bytes × dimensions a direction while learning. */
  basisDirections: 512,
  /** Multiply-adds of learning a basis, about, beside the moments: 4 s of plain JS on one core; fewer directions are learnt beyond it. */
  basisWork: 2 ** 32,
  /** Queries by which the length of a prefix is chosen: the mean of their survivors is known to about a sixth. */
  prefixQueries: 32,
  /** Rows on which those survivors are counted: one in a thousand of them is still two for each query. */
  prefixRows: 2048,
  /** Multiply-adds of that choice spent on projecting the sample: 1 s of plain JS; fewer rows are used beyond it. */
  prefixWork: 2 ** 30,
};

/** Delays between attempts to get a device back after a loss; after the last the CPU takes over for good. */
export const RECOVERY_DELAYS_MS: readonly number[] = [0, 100, 500, 2000, 5000, 15_000];

/** Bounds of files (src/storage); apart, so that pages which only search do not load them. */
export const STORAGE_LIMITS: Readonly<
  Record<
    | "pageBytes"
    | "textBlockBytes"
    | "textBlockRecords"
    | "readPieceBytes"
    | "readsAhead"
    | "journalRecordBytes"
    | "manifestTags"
    | "tagBytes"
    | "settingsBytes"
    | "modelTextLength"
    | "journalBytes"
    | "journalRecords"
    | "closeJournalBytes"
    | "closeJournalRecords"
    | "closeRows"
    | "groupRecords"
    | "stagedBytes"
    | "heldBytes"
    | "historyVersions"
    | "keptVersions"
    | "compactRows"
    | "mergeSegments"
    | "scanBatch"
    | "openAttempts"
    | "openAttemptsBesideWriter"
    | "storagePieceBytes"
    | "storagePiecesInFlight"
    | "memoryFileFirstBytes"
    | "memoryFileMostBytes"
    | "lockAttempts"
    | "lockSettleMs"
    | "fileNameLength",
    number
  >
> = {
  /** Rows of one page of a segment, with its own checksum: what a damaged byte costs, and what a writer holds. Smaller pages make a longer table (96 bytes a page), which is read at opening. */
  pageBytes: MiB,
  /** Ids or metadata of one block, and the records of those: what fetching one record's metadata reads. A text that is longer has a block of its own. */
  textBlockBytes: MiB,
  textBlockRecords: 65_536,
  /** Bytes read and checked in one stretch on the caller's thread: 0.5 ms of CRC32C. */
  readPieceBytes: MiB,
  /** Reads of a segment's pages under way at once: two fetch, and some are there when the checksum of the last is done. */
  readsAhead: 4,
  /** Payload of one journal record: copying and checking it is one stretch on the caller's thread, about 8 ms; more goes into a segment. */
  journalRecordBytes: 8 * MiB,
  /** Tags of a collection, and UTF-8 bytes of a tag's name. */
  manifestTags: 10_000,
  tagBytes: 256,
  /** JSON of a manifest's settings: room for a model's name, none for a bomb. */
  settingsBytes: 65_536,
  /** Characters of a model's name and of its revision; both fit the settings, whatever they escape to. */
  modelTextLength: 1024,

  /** A journal of so many bytes or records ends in a checkpoint: what opening replays at most, about 0.3 s. */
  journalBytes: 32 * MiB,
  journalRecords: 16_384,
  /** Closing ends a journal of so many bytes or records in a checkpoint, and any journal of a collection of so many rows: replaying looks up ids, for which all of them are hashed. */
  closeJournalBytes: MiB,
  closeJournalRecords: 256,
  closeRows: 10_000,
  /** Changes that one write and sync of the journal commits together. */
  groupRecords: 1024,
  /** Vectors of an upsert on their way into a segment: what is held of a stream of any length. */
  stagedBytes: 4 * MiB,
  /** Vectors of a segment that are kept in memory until the index has them; of a larger one they are read from its file again (1.4 ms a mebibyte). */
  heldBytes: 64 * MiB,
  /** Versions that a manifest tells of, 32 bytes each; older ones that have no tag are forgotten, and their files removed by `compact`. */
  historyVersions: 10_000,
  /** Newest versions that compaction keeps by default: the contract's. */
  keptVersions: 10,
  /** Removed rows below which a collection does not compact by itself, be they a quarter or more: rewriting costs some ten file operations. */
  compactRows: 64,
  /** Segments above which compaction merges them beside older versions that still need them. */
  mergeSegments: 8,
  /** Records of a batch of `scan` by default. */
  scanBatch: 1000,
  /** Times that a reader looks when the files it was told of are gone: a writer that is no more compacted meanwhile. */
  openAttempts: 5,
  /** Times that it looks while a writer is there: with growing pauses two to three seconds, which outlast a checkpoint on a busy machine. */
  openAttemptsBesideWriter: 20,

  /** Bytes of one request to a file: what a thread of Node's pool, an OPFS worker or the page copies in one stretch (1–13 ms on a 2-core EPYC, first touch of the memory included). */
  storagePieceBytes: 4 * MiB,
  /** Such requests of one read under way at once: first touch of the memory takes longer than copying, and two threads share it (512 MiB, cached: 1.1 s, one at a time 1.8 s). More would take Node's pool of four from the application. */
  storagePiecesInFlight: 2,
  /** Bytes of the first piece of a file in memory; each further one is as large as all before it, up to the most. No append copies what is there. */
  memoryFileFirstBytes: 4096,
  memoryFileMostBytes: 16 * MiB,
  /** Times that a lock left by a dead process is tried to be taken over while others try too; each try but the last means that another one's state changed in between. */
  lockAttempts: 16,
  /** Age from which a lock file that cannot be read (power was lost while it was written) counts as left behind. */
  lockSettleMs: 10_000,
  /** Characters of a file's name in a collection's folder; every file system takes as many. */
  fileNameLength: 64,
};

/** Bounds of ids, metadata and filters (src/collection). */
export const TABLE_LIMITS = {
  /** UTF-8 of an id; the contract's. A page of ids stays small, and a scratch of this size holds any. */
  idBytes: 512,
  /** JSON of one record's metadata; the contract's. Dictionaries keep the length of a text in 16 bits. */
  metadataBytes: 65_536,

  /** Nesting of a filter, the outermost object included: compiling and running recurse. The contract's. */
  filterDepth: 16,
  /** Conditions of a filter: each is a pass over its column. The contract's. */
  filterConditions: 1000,
  /** Values of all `$in` and `$nin` of a filter: they are checked in one stretch, about 2 ms. The contract's. */
  filterValues: 100_000,

  /** Bytes of texts and offsets from which a column is kept as it is; smaller ones are copied together, or a journal of single records would be as many columns. */
  adoptedTextBytes: 262_144,
  /** Bytes of such a gathering; growing copies it in one stretch. */
  textTailBytes: 8_388_608,
  /** Bytes of a part that compaction makes; offsets are 32 bits. */
  textPartBytes: 268_435_456,

  /** Bytes of filter columns that are always allowed, and of more as many as the metadata itself has; beyond, the longest unused are dropped and built again when wanted. */
  columnBytes: 16_777_216,
  /** Entries of a filter column that are compared in the time of an element of `sliceElements`; of metadata, bytes that are read. */
  columnEntries: 8,
  metadataBytesRead: 2,
} as const;

/** Bounds of files that are read and written (src/io). */
export const IO_LIMITS = {
  /** Elements of a vector; the contract's. */
  dimensions: 65_535,
  /** Bytes of a header: npy, safetensors. NumPy's own limit is 10,000; a model of thousands of tensors takes some hundred thousand. */
  headerBytes: 16_777_216,
  /** Bytes of a file that are read for one batch, whatever its rows. */
  batchBytes: 67_108_864,
  /** Bytes of a line of JSON or a record of CSV: 65,535 elements of 25 characters, and 64 KiB of metadata, eight times over. */
  lineBytes: 16_777_216,
  /** Bytes read at once from a file of text. */
  pieceBytes: 1_048_576,
  /** Rows of a file of text that are looked at for a vector that tells the width. */
  probedRows: 100,
  /** Rows, and bytes unpacked, of a Parquet row group: it is read as a whole. */
  groupRows: 16_777_216,
  groupBytes: 1_073_741_824,
  /** Bytes that are read from a disk at once: seconds of the slowest, so that waiting shows progress. */
  readBytes: 33_554_432,
  /** Reads of an Arrow file without a record batch: four a message, so some 5,000 dictionaries. A damaged length may lead back. */
  arrowReads: 20_000,
  /** Time without an answer or a sign of progress (a piece read, a page, a record batch) after which a decoder counts as hung. A page is 1 MiB, some 20 ms. */
  decoderSilenceMs: 60_000,
  /** Time between two signs of progress. */
  decoderProgressMs: 100,
  /** JavaScript's heap of a decoder: of each byte of the file so many, but at least and at most so many. A row of two floats takes some 300 bytes while its group is read. */
  decoderHeapFactor: 64,
  decoderLeastHeapBytes: 536_870_912,
  decoderHeapBytes: 4_294_967_296,
  /** Rows of a Parquet row group that is written. */
  writtenGroupRows: 16_384,
  /** Elements of its lists of neighbours: some 50 bytes each while the group is put together. */
  writtenGroupValues: 4_194_304,
} as const;
