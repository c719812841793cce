/**
 * The benchmark's rows: clustered, with a decaying spectrum like real embeddings', made on the
 * device from nothing but row numbers (row.wgsl) and read back in pieces, so that ten million of
 * them need neither a file nor a host copy, and any of them can be made again for the answer check.
 * Queries are further rows of the same clusters, from QUERY_BASE on.
 */
import generateCode from "./generate.wgsl?raw";
import rowCode from "./row.wgsl?raw";
import { blockOf, CLUSTERS, QUERY_BASE, spectrumOf } from "../clustered.ts";
import { BUFFER, compile, type Kernel, MAP_READ, storage, uniform } from "./kernel.ts";

/** Workgroups of a grid's first dimension: below the 65,535 that every device grants. */
export const COLUMNS = 32_768;
/** A piece of rows: large enough to hide a round trip, small beside memory. */
const PIECE_BYTES = 32 * 2 ** 20;

/** What shapes the code of row.wgsl. */
export function rowHeader(dimensions: number): string {
  return `const DIMENSIONS = ${dimensions}u;\nconst BLOCK = ${blockOf(dimensions)}u;\nconst CLUSTERS = ${CLUSTERS}u;\n`;
}

export const ROW_CODE: string = rowCode;

/** Makes rows of one width. Owns its buffers; close it. */
export class RowGenerator {
  readonly dimensions: number;
  readonly device: GPUDevice;
  readonly spectrum: GPUBuffer;
  readonly pieceRows: number;
  readonly #kernel: Kernel;
  readonly #rows: GPUBuffer;
  readonly #readable: readonly GPUBuffer[];
  readonly #numbers: GPUBuffer;

  static async open(device: GPUDevice, dimensions: number): Promise<RowGenerator> {
    const code = rowHeader(dimensions) + rowCode + generateCode;
    return new RowGenerator(device, dimensions, await compile(device, "generate", code));
  }

  private constructor(device: GPUDevice, dimensions: number, kernel: Kernel) {
    this.device = device;
    this.dimensions = dimensions;
    this.#kernel = kernel;
    this.pieceRows = Math.max(1, Math.floor(PIECE_BYTES / (dimensions * 4)));
    const bytes = this.pieceRows * dimensions * 4;
    this.spectrum = storage(device, "generate spectrum", dimensions * 4, BUFFER.copyDst);
    device.queue.writeBuffer(this.spectrum, 0, spectrumOf(dimensions));
    this.#rows = storage(device, "generate rows", bytes, BUFFER.copySrc);
    this.#numbers = storage(device, "generate numbers", this.pieceRows * 4, BUFFER.copyDst);
    this.#readable = [0, 1].map((i) =>
      device.createBuffer({
        label: `generate read-back ${i}`,
        size: Math.ceil(bytes / 16) * 16,
        usage: BUFFER.mapRead | BUFFER.copyDst,
      }),
    );
  }

  /** Rows 0 … rowCount − 1 in order, a piece at a time; a piece is valid until the next is asked for. The next is made meanwhile. */
  async *pieces(rowCount: number): AsyncGenerator<Float32Array<ArrayBuffer>> {
    const countAt = (first: number): number => Math.min(this.pieceRows, rowCount - first);
    const start = (first: number): Promise<Mapped> =>
      this.#read(first, countAt(first), undefined, (first / this.pieceRows) % 2);
    let next = rowCount > 0 ? start(0) : undefined;
    for (let first = 0; next !== undefined; first += this.pieceRows) {
      const mapped: Mapped = await next;
      next = first + this.pieceRows < rowCount ? start(first + this.pieceRows) : undefined;
      try {
        yield mapped.rows;
      } finally {
        mapped.unmap();
      }
    }
  }

  /** The rows of these numbers, [numbers × dimensions], a copy. */
  async rows(numbers: ArrayLike<number>): Promise<Float32Array<ArrayBuffer>> {
    const all = new Float32Array(numbers.length * this.dimensions);
    for (let at = 0; at < numbers.length; at += this.pieceRows) {
      const count = Math.min(this.pieceRows, numbers.length - at);
      const list = Uint32Array.from({ length: count }, (_, i) => numbers[at + i] ?? 0);
      const mapped = await this.#read(0, count, list, 0);
      all.set(mapped.rows, at * this.dimensions);
      mapped.unmap();
    }
    return all;
  }

  /** [count × dimensions] */
  queries(count: number): Promise<Float32Array<ArrayBuffer>> {
    return this.rows(Array.from({ length: count }, (_, i) => QUERY_BASE + i));
  }

  close(): void {
    for (const buffer of [this.spectrum, this.#rows, this.#numbers, ...this.#readable]) buffer.destroy();
  }

  async #read(
    first: number,
    count: number,
    numbers: Uint32Array<ArrayBuffer> | undefined,
    slot: number,
  ): Promise<Mapped> {
    const readable = this.#readable[slot];
    if (readable === undefined) throw new Error(`there is no read-back buffer ${slot}`);
    if (numbers !== undefined) this.device.queue.writeBuffer(this.#numbers, 0, numbers);
    const params = uniform(this.device, "generate params", [first, count, COLUMNS, numbers === undefined ? 0 : 1]);
    const bytes = count * this.dimensions * 4;
    const encoder = this.device.createCommandEncoder({ label: "generate" });
    const pass = encoder.beginComputePass({ label: "generate" });
    pass.setPipeline(this.#kernel.pipeline);
    pass.setBindGroup(0, this.#kernel.bind(params, this.spectrum, this.#numbers, this.#rows));
    pass.dispatchWorkgroups(Math.min(count, COLUMNS), Math.ceil(count / COLUMNS));
    pass.end();
    encoder.copyBufferToBuffer(this.#rows, 0, readable, 0, bytes);
    this.device.queue.submit([encoder.finish()]);
    await readable.mapAsync(MAP_READ, 0, bytes);
    params.destroy();
    return { rows: new Float32Array(readable.getMappedRange(0, bytes)), unmap: () => readable.unmap() };
  }
}

interface Mapped {
  readonly rows: Float32Array<ArrayBuffer>;
  unmap(): void;
}
