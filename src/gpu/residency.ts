/**
 * The GPU's copies of one row store: shards in the interleaved scan layout, brought up to date
 * block by block, and beside them, where the scan is certified, the int8 codes of the same rows.
 * Losing them loses nothing. Rows beyond the memory budget are not kept: each scan streams them
 * through two buffers in turn, piece by piece.
 *
 * Facts of a row, what a scan needs beside its elements: a term (1/‖x‖ for cosine, ‖x‖ otherwise,
 * set bits for b1), and for i8 its scale.
 */
import type { RowSource } from "../core/backend.ts";
import { LIMITS } from "../core/limits.ts";
import { isComfortable } from "../core/margin.ts";
import { rowNorm } from "../core/matrix.ts";
import type { WorkSlices } from "../core/slices.ts";
import { type Certificate, codeRowBytes, holdsNorm } from "./certificate-copy.ts";
import type { Commands } from "./commands.ts";
import { USAGE } from "./flags.ts";
import type { DeviceMemory } from "./memory.ts";
import type { Pipelines } from "./pipelines.ts";
import {
  grid,
  type PlanLimits,
  planShards,
  type ShardPlan,
  shardRanges,
  type ShardRange,
  STREAM_BUFFERS,
} from "./plan.ts";
import { indexExponent, rowExponent, type RowsScanned } from "./query.ts";

/** Rows `first … first + count − 1` as a scan sees them. */
export interface Shard extends ShardRange {
  /** [ceil(count / 32) × chunks × 32] vec4u; of a streamed shard one of the stream buffers. */
  readonly rows: GPUBuffer;
  /** [count × factWords] f32. */
  readonly facts: GPUBuffer;
  /** Present where the scan can be certified. */
  readonly codes: CodeBuffers | undefined;
}

/** The codes of a shard's rows, interleaved by 32, and their facts. */
export interface CodeBuffers {
  readonly codes: GPUBuffer;
  readonly facts: GPUBuffer;
}

interface ShardBuffers {
  readonly rows: GPUBuffer;
  readonly facts: GPUBuffer;
  readonly codes: CodeBuffers | undefined;
  readonly capacity: number;
}

export interface ResidencyDeps {
  readonly memory: DeviceMemory;
  readonly pipelines: Pipelines;
  readonly commands: Commands;
  readonly limits: PlanLimits;
  readonly slices: WorkSlices;
  /** Bytes handed to the queue before waiting for it. */
  readonly uploadBytesInFlight: number;
  /** Called with bytes as they are handed to the queue. */
  readonly onUpload: (bytes: number) => void;
}

const ROWS_USAGE = USAGE.storage | USAGE.copyDst | USAGE.copySrc;

export class Residency {
  readonly #source: RowSource;
  readonly #deps: ResidencyDeps;
  /** Used in turn, so that one piece can be written while another is being repacked. */
  readonly #staging: readonly GPUBuffer[];
  #piece = 0;
  readonly #scratch: Uint8Array<ArrayBuffer>;
  readonly #stagingRows: number;
  readonly #shards: ShardBuffers[] = [];
  readonly #known = new Map<number, { version: number; rows: number }>();
  readonly #streams: ShardBuffers[] = [];
  #plan: ShardPlan = { shardRows: 32, residentRows: 0, streamRows: 0 };
  #certificate: Certificate | undefined;
  #exponent = 0;
  #bytesInFlight = 0;
  #bytes = 0;
  #peakBytes = 0;
  #isDisposed = false;

  constructor(source: RowSource, deps: ResidencyDeps) {
    this.#source = source;
    this.#deps = deps;
    const { rowBytes } = source;
    const bytes = Math.min(LIMITS.stagingBytes, deps.limits.maxBindingBytes, deps.slices.budget * 4);
    this.#stagingRows = Math.max(1, Math.floor(bytes / rowBytes));
    this.#staging = Array.from({ length: LIMITS.stagingBuffers }, (_, i) =>
      deps.memory.create(`staging ${i}`, this.#stagingRows * rowBytes, USAGE.storage | USAGE.copyDst),
    );
    this.#scratch = new Uint8Array(this.#stagingRows * rowBytes);
  }

  /** Words of a row's facts. */
  get factWords(): number {
    return this.#source.precision === "i8" ? 2 : 1;
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
    if (
      exponent !== this.#exponent ||
      (certificate !== undefined && !holdsNorm(certificate, maxNorm * 2 ** exponent))
    ) {
      this.#known.clear();
      if (certificate !== undefined) this.certify(undefined); // made for other magnitudes
    }
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
    this.#isDisposed = true;
    this.#dropShards();
    for (const buffer of this.#staging) this.#deps.memory.destroy(buffer);
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

  /** Uploads, repacks and encodes up to `count` rows from `first`, as many as fit the staging buffer and lie in one block; returns how many. */
  async #uploadPiece(
    first: number,
    count: number,
    shardFirst: number,
    shard: Pick<ShardBuffers, "rows" | "facts" | "codes">,
  ): Promise<number> {
    const { rowBytes, blockRows, stride } = this.#source;
    const { pipelines, commands, limits, slices, memory } = this.#deps;
    const piece = Math.min(count, this.#stagingRows, blockRows - (first % blockRows));
    const kernel = await pipelines.get("repack");
    const encoder = shard.codes === undefined ? undefined : await this.#encoder();
    const turn = slices.take(piece * stride);
    if (turn !== undefined) await turn;
    if (this.#isDisposed) throw new Error("the copies were let go of while they were being made");
    const { facts, codeFacts } = this.#stage(first, piece);
    const bytes = piece * rowBytes;
    const at = first - shardFirst;
    const staging = this.#staging[this.#piece++ % this.#staging.length];
    if (staging === undefined) throw new Error("there is no staging buffer");
    memory.write(staging, 0, this.#scratch.subarray(0, bytes));
    memory.write(shard.facts, at * facts.BYTES_PER_ELEMENT * this.factWords, facts);
    const chunks = rowBytes / 16;
    const shape = grid(piece * chunks, limits.workgroup, limits.maxWorkgroupsPerDimension);
    const exponent = this.#source.precision === "f16" ? this.#exponent : 0;
    commands.dispatch({
      kernel,
      params: [at, piece, chunks, shape.width, exponent],
      buffers: [staging, shard.rows],
      grid: shape,
    });
    const certificate = this.#certificate;
    if (shard.codes !== undefined && certificate !== undefined) {
      if (codeFacts !== undefined) memory.write(shard.codes.facts, at * certificate.factWords * 4, codeFacts);
      if (encoder !== undefined) this.#encode(encoder, certificate, shard, shard.codes, at, piece);
    }
    commands.submit();
    this.#deps.onUpload(bytes + facts.byteLength);
    this.#bytesInFlight += bytes;
    if (this.#bytesInFlight > this.#deps.uploadBytesInFlight) {
      await memory.device.queue.onSubmittedWorkDone();
      this.#bytesInFlight = 0;
    }
    return piece;
  }

  /** The kernel that codes rows, where they are not stored as codes. */
  async #encoder(): Promise<Awaited<ReturnType<Pipelines["get"]>> | undefined> {
    const certificate = this.#certificate;
    if (certificate === undefined || certificate.isStored) return undefined;
    return this.#deps.pipelines.get("encode_i8", {
      metric: certificate.metric,
      precision: this.#source.precision,
      facts: this.factWords,
      codeFacts: certificate.factWords,
      isIdentity: certificate.isIdentity,
      isQuery: false,
    });
  }

  #encode(
    kernel: Awaited<ReturnType<Pipelines["get"]>>,
    certificate: Certificate,
    shard: Pick<ShardBuffers, "rows" | "facts">,
    target: CodeBuffers,
    first: number,
    count: number,
  ): void {
    const { stride, rowBytes } = this.#source;
    const shape = grid(count, 1, this.#deps.limits.maxWorkgroupsPerDimension);
    const { codeChunks, directions, paramBits, basis, isIdentity } = certificate;
    this.#deps.commands.dispatch({
      kernel,
      params: [count, first, rowBytes / 16, codeChunks, stride, directions, shape.width, ...paramBits],
      buffers: [shard.rows, shard.facts, basis, target.codes, target.facts],
      grid: shape,
      work: count * stride * (isIdentity ? 4 : 2 * directions),
    });
  }

  /**
   * Puts the bytes of a piece into the scratch area and returns its facts. Rows whose magnitude is
   * beyond what float32 sums can hold are scaled by powers of two; all others are copied as they
   * are. Halves are scaled on the device, i8 rows by their scales.
   */
  #stage(
    first: number,
    count: number,
  ): { facts: Float32Array<ArrayBuffer>; codeFacts: Uint32Array<ArrayBuffer> | undefined } {
    const source = this.#source;
    const { metric, precision, stride, rowBytes } = source;
    const terms = source.terms(first, count);
    const scales = source.scales(first, count);
    const facts = new Float32Array(count * this.factWords);
    this.#scratch.set(source.bytes(first, count));
    const block = source.blocks[Math.floor(first / source.blockRows)];
    const isOrdinary =
      block !== undefined && isComfortable(block.maxNorm) && (metric !== "cosine" || isComfortable(block.minNorm));
    const values = precision === "f32" ? new Float32Array(this.#scratch.buffer, 0, (count * rowBytes) / 4) : undefined;
    for (let r = 0; r < count; r++) {
      const term = terms[r] ?? 0;
      let scale = 1;
      let scaledTerm = term;
      if (precision !== "b1" && !(isOrdinary && this.#exponent === 0)) {
        // Of rows of extreme norm the float32 term may be off: of float32 rows it is made anew.
        const norm =
          values !== undefined
            ? rowNorm(values, r * stride, stride)
            : precision === "i8"
              ? this.#codedNorm(r, scales[r] ?? 0)
              : metric === "cosine"
                ? 1 / term
                : term;
        scale = 2 ** rowExponent(metric, precision, norm, this.#exponent);
        scaledTerm = metric === "cosine" ? 1 / (norm * scale) : norm * scale;
        if (values !== undefined)
          for (let i = r * stride; i < (r + 1) * stride; i++) values[i] = (values[i] ?? 0) * scale;
      }
      facts[r * this.factWords] = scaledTerm;
      if (precision === "i8") facts[r * 2 + 1] = (scales[r] ?? 0) * scale;
    }
    return { facts, codeFacts: precision === "i8" ? this.#storedCodeFacts(facts, count) : undefined };
  }

  /** The norm of an i8 row of the scratch area. */
  #codedNorm(row: number, scale: number): number {
    const { rowBytes } = this.#source;
    let sum = 0;
    for (const code of new Int8Array(this.#scratch.buffer, row * rowBytes, rowBytes)) sum += code * code;
    return scale * Math.sqrt(sum);
  }

  /** Facts of i8 rows as codes of themselves: no error, no residual. */
  #storedCodeFacts(facts: Float32Array, count: number): Uint32Array<ArrayBuffer> | undefined {
    const certificate = this.#certificate;
    if (certificate === undefined) return undefined;
    const words = new Float32Array(count * certificate.factWords);
    for (let r = 0; r < count; r++) {
      const term = facts[r * 2] ?? 0;
      const scale = facts[r * 2 + 1] ?? 0;
      const at = r * certificate.factWords;
      words[at] = certificate.metric === "cosine" ? scale * term : scale;
      if (certificate.metric === "dot") words[at + 2] = term * (1 + 2 ** -20);
      if (certificate.metric === "euclidean") words[at + 2] = term * term;
    }
    return new Uint32Array(words.buffer);
  }
}
