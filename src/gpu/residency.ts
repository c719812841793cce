/**
 * The GPU's copies of one row store: shards in the interleaved scan layout, brought up to date
 * block by block, and beside them, where the scan is certified, the int8 codes of the same rows.
 * Losing them loses nothing. Rows beyond the memory budget are not kept: each scan streams them
 * through two buffers in turn, piece by piece.
 */
import type { RowSource } from "../core/backend.ts";
import { type Certificate, codeRowBytes, holdsNorm } from "./certificate-copy.ts";
import { USAGE } from "./flags.ts";
import { planShards, type ShardPlan, shardRanges, type ShardRange, STREAM_BUFFERS } from "./plan.ts";
import { indexExponent, type RowsScanned } from "./query.ts";
import { type CopyBuffers, RowUpload, type UploadDeps } from "./row-upload.ts";

/** Rows `first … first + count − 1` as a scan sees them; of a streamed shard in one of the stream buffers. */
export interface Shard extends ShardRange, CopyBuffers {}

interface ShardBuffers extends CopyBuffers {
  readonly capacity: number;
}

const ROWS_USAGE = USAGE.storage | USAGE.copyDst | USAGE.copySrc;

export class Residency {
  readonly #source: RowSource;
  readonly #deps: UploadDeps;
  readonly #pieces: RowUpload;
  readonly #shards: ShardBuffers[] = [];
  readonly #known = new Map<number, { version: number; rows: number }>();
  readonly #streams: ShardBuffers[] = [];
  #plan: ShardPlan = { shardRows: 32, residentRows: 0, streamRows: 0 };
  #certificate: Certificate | undefined;
  #exponent = 0;
  #bytes = 0;
  #peakBytes = 0;

  constructor(source: RowSource, deps: UploadDeps) {
    this.#source = source;
    this.#deps = deps;
    this.#pieces = new RowUpload(source, deps);
  }

  /** Words of a row's facts. */
  get factWords(): number {
    return this.#pieces.factWords;
  }

  /** Bytes of scan copies kept on the device, stream buffers included, and the most there ever were. */
  get residentBytes(): number {
    return this.#bytes;
  }

  get peakBytes(): number {
    return this.#peakBytes;
  }

  get shardCount(): number {
    return this.#shards.length;
  }

  get certificate(): Certificate | undefined {
    return this.#certificate;
  }

  /** Whether every row has a place of its own on the device. */
  get isWhole(): boolean {
    return this.#plan.streamRows === 0;
  }

  /** What scans need to know of the rows, after `sync`. */
  get scanned(): RowsScanned {
    const { metric, precision, dimensions, maxNorm, blocks } = this.#source;
    const minNorm = blocks.reduce((least, block) => Math.min(least, block.minNorm), Infinity);
    return { metric, precision, dimensions, minNorm, maxNorm, exponent: this.#exponent };
  }

  /** Bytes of a resident row in all its buffers, with codes in so many directions. */
  rowBytes(directions: number | undefined): number {
    const { metric, rowBytes } = this.#source;
    const codes =
      directions === undefined || (metric !== "cosine" && metric !== "dot" && metric !== "euclidean")
        ? 0
        : codeRowBytes(this.#source, metric, directions);
    return rowBytes + this.factWords * 4 + codes;
  }

  /** Codes rows from now on as `certificate` says, or not at all; the next `sync` makes the codes. */
  certify(certificate: Certificate | undefined): void {
    if (certificate === this.#certificate) return;
    this.#dropShards();
    this.#deps.memory.destroy(this.#certificate?.basis);
    this.#certificate = certificate;
  }

  /** Brings the resident copies of the first `rowCount` rows up to date. */
  async sync(rowCount: number): Promise<void> {
    const { metric, precision, maxNorm, rowBytes } = this.#source;
    const exponent = indexExponent(metric, precision, maxNorm);
    const certificate = this.#certificate;
    if (exponent !== this.#exponent) this.#known.clear();
    // A certificate made for other magnitudes serves no more.
    const isFitting =
      certificate === undefined ||
      (certificate.exponent === exponent && holdsNorm(certificate, maxNorm * 2 ** exponent));
    if (!isFitting) this.certify(undefined);
    this.#exponent = exponent;
    const allBytes = this.rowBytes(this.#certificate?.directions);
    const plan = planShards(rowCount, rowBytes, allBytes, this.#deps.limits);
    const isCut = plan.residentRows < this.#plan.residentRows;
    const streamsAnew = plan.streamRows !== this.#plan.streamRows;
    if (isCut || streamsAnew) this.#dropShards();
    this.#plan = plan;
    // Stream buffers first: shards take their room to grow from what then remains of the budget.
    while (plan.streamRows > 0 && this.#streams.length < STREAM_BUFFERS) {
      this.#streams.push(this.#allocate(`stream ${this.#streams.length}`, plan.streamRows, false));
    }
    for (const [index, range] of shardRanges(rowCount, plan).entries()) {
      if (range.isResident) this.#fit(index, range);
    }
    this.#deps.commands.submit();
    await this.#upload(Math.min(rowCount, plan.residentRows));
  }

  /** The shards that hold the first `rowCount` rows, after `sync`. */
  shards(rowCount: number): Shard[] {
    let streamed = 0;
    return shardRanges(rowCount, this.#plan).map((range, index) => {
      const buffers = range.isResident ? this.#shards[index] : this.#streams[streamed++ % STREAM_BUFFERS];
      if (buffers === undefined) throw new Error(`shard ${index} was not synchronised`);
      return { ...range, rows: buffers.rows, facts: buffers.facts, codes: buffers.codes };
    });
  }

  /** Sends the rows of a streamed shard to its stream buffer. */
  async stream(shard: Shard): Promise<void> {
    for (let row = shard.first; row < shard.first + shard.count; ) {
      row += await this.#uploadPiece(row, shard.first + shard.count - row, shard.first, shard);
    }
  }

  /** Stops an upload that is under way, too. */
  dispose(): void {
    this.#pieces.dispose();
    this.#dropShards();
    this.#deps.memory.destroy(this.#certificate?.basis);
  }

  #dropShards(): void {
    for (const shard of this.#shards.splice(0)) this.#free(shard);
    for (const stream of this.#streams.splice(0)) this.#free(stream);
    this.#known.clear();
  }

  #allocate(name: string, capacity: number, isCoded: boolean): ShardBuffers {
    const { memory } = this.#deps;
    const certificate = isCoded ? this.#certificate : undefined;
    const buffer = (what: string, bytes: number): GPUBuffer => {
      const made = memory.create(`${what} ${name}`, bytes, ROWS_USAGE);
      this.#bytes += made.size;
      this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
      return made;
    };
    const rows = buffer("rows", capacity * this.#source.rowBytes);
    const facts = buffer("facts", capacity * this.factWords * 4);
    const codes =
      certificate === undefined
        ? undefined
        : {
            codes: certificate.isStored ? rows : buffer("codes", capacity * certificate.codeChunks * 16),
            facts: buffer("code facts", capacity * certificate.factWords * 4),
          };
    return { rows, facts, codes, capacity };
  }

  #free({ rows, facts, codes }: ShardBuffers): void {
    for (const buffer of new Set([rows, facts, codes?.codes, codes?.facts])) {
      this.#bytes -= buffer?.size ?? 0;
      this.#deps.memory.destroy(buffer);
    }
  }

  /** Makes the buffers of shard `index` large enough, keeping what they hold where the budget has room for both. */
  #fit(index: number, range: ShardRange): void {
    const { commands, limits } = this.#deps;
    const old = this.#shards[index];
    const needed = Math.ceil(range.count / 32) * 32;
    if (old !== undefined && old.capacity >= needed) return;
    const allBytes = this.rowBytes(this.#certificate?.directions);
    const others = this.#bytes - (old === undefined ? 0 : old.capacity * allBytes);
    const room = Math.floor((limits.memoryBudgetBytes - others) / allBytes / 32) * 32;
    // Powers of two while a shard grows: copies of the rows cost at most as much again in all. Beside
    // stream buffers it grows no more: the budget is spent.
    const growing = this.isWhole ? Math.min(this.#plan.shardRows, room, 2 ** Math.ceil(Math.log2(needed))) : needed;
    const capacity = Math.max(needed, growing);
    const mayKeepOld = this.#bytes + capacity * allBytes <= limits.memoryBudgetBytes;
    if (old !== undefined && !mayKeepOld) {
      this.#free(old);
      this.#known.clear(); // its rows are sent again
    }
    const made = this.#allocate(String(index), capacity, true);
    if (old !== undefined && mayKeepOld) {
      const copy = (source: GPUBuffer | undefined, target: GPUBuffer | undefined): void => {
        if (source !== undefined && target !== undefined) commands.copy(source, 0, target, 0, source.size);
      };
      copy(old.rows, made.rows);
      copy(old.facts, made.facts);
      copy(old.codes?.facts, made.codes?.facts);
      if (old.codes?.codes !== old.rows) copy(old.codes?.codes, made.codes?.codes);
      commands.submit();
      this.#free(old);
    }
    this.#shards[index] = made;
  }

  async #upload(rowCount: number): Promise<void> {
    const { blocks, blockRows } = this.#source;
    for (const [index, block] of blocks.entries()) {
      const end = Math.min(block.firstRow + blockRows, rowCount);
      if (end <= block.firstRow) break;
      const known = this.#known.get(index);
      const version = block.version;
      let row = known?.version === version ? block.firstRow + known.rows : block.firstRow;
      if (row >= end) continue;
      while (row < end) {
        const at = Math.floor(row / this.#plan.shardRows);
        const shard = this.#shards[at];
        if (shard === undefined) throw new Error(`row ${row} has no resident shard`);
        const shardFirst = at * this.#plan.shardRows;
        const count = Math.min(end - row, shardFirst + this.#plan.shardRows - row);
        row += await this.#uploadPiece(row, count, shardFirst, shard);
      }
      this.#known.set(index, { version, rows: end - block.firstRow });
    }
  }

  #uploadPiece(first: number, count: number, shardFirst: number, shard: CopyBuffers): Promise<number> {
    return this.#pieces.upload(first, count, shardFirst, shard, this.#exponent, this.#certificate);
  }
}
