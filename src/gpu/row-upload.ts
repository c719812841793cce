/**
 * Rows on their way from the store to their copies: staged, scaled where float32 could not hold
 * them, repacked into the scan layout, and coded, piece by piece, in slices of the caller's thread.
 *
 * Facts of a row, what a scan needs beside its elements: a term (1/‖x‖ for cosine, ‖x‖ otherwise,
 * set bits for b1), and for i8 its scale.
 */
import type { RowSource } from "../core/backend.ts";
import { LIMITS } from "../core/limits.ts";
import { isComfortable } from "../core/comfort.ts";
import { rowNorm } from "../core/matrix.ts";
import type { WorkSlices } from "../core/slices.ts";
import type { Certificate } from "./certificate-copy.ts";
import type { Commands } from "./commands.ts";
import { USAGE } from "./flags.ts";
import type { DeviceMemory } from "./memory.ts";
import type { Kernel, Pipelines } from "./pipelines.ts";
import { grid, type PlanLimits } from "./plan.ts";
import { rowExponent } from "./query.ts";

/** Buffers that hold some rows. */
export interface CopyBuffers {
  /** [ceil(rows / 32) × chunks × 32] vec4u. */
  readonly rows: GPUBuffer;
  /** [rows × factWords] f32. */
  readonly facts: GPUBuffer;
  /** Present where the scan can be certified. */
  readonly codes: CodeBuffers | undefined;
}

/** The codes of the same rows, interleaved by 32, and their facts. */
export interface CodeBuffers {
  readonly codes: GPUBuffer;
  readonly facts: GPUBuffer;
}

export interface UploadDeps {
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

export class RowUpload {
  readonly #source: RowSource;
  readonly #deps: UploadDeps;
  /** Used in turn, so that one piece can be written while another is being repacked. */
  readonly #staging: readonly GPUBuffer[];
  readonly #stagingRows: number;
  readonly #scratch: Uint8Array<ArrayBuffer>;
  #piece = 0;
  #bytesInFlight = 0;
  #isDisposed = false;

  constructor(source: RowSource, deps: UploadDeps) {
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

  /** Stops an upload that is under way, too. */
  dispose(): void {
    this.#isDisposed = true;
    for (const buffer of this.#staging) this.#deps.memory.destroy(buffer);
  }

  /** Uploads, repacks and encodes up to `count` rows from `first`, as many as fit the staging buffer and lie in one block; returns how many. */
  async upload(
    first: number,
    count: number,
    shardFirst: number,
    target: CopyBuffers,
    exponent: number,
    certificate: Certificate | undefined,
  ): Promise<number> {
    const { rowBytes, blockRows, stride } = this.#source;
    const { pipelines, commands, limits, slices, memory } = this.#deps;
    const piece = Math.min(count, this.#stagingRows, blockRows - (first % blockRows));
    const kernel = await pipelines.get("repack");
    const encoder = target.codes === undefined ? undefined : await this.#encoder(certificate);
    const turn = slices.take(piece * stride);
    if (turn !== undefined) await turn;
    if (this.#isDisposed) throw new Error("the copies were let go of while they were being made");
    const { facts, codeFacts } = this.#stage(first, piece, exponent, certificate);
    const bytes = piece * rowBytes;
    const at = first - shardFirst;
    const staging = this.#staging[this.#piece++ % this.#staging.length];
    if (staging === undefined) throw new Error("there is no staging buffer");
    memory.write(staging, 0, this.#scratch.subarray(0, bytes));
    memory.write(target.facts, at * facts.BYTES_PER_ELEMENT * this.factWords, facts);
    const chunks = rowBytes / 16;
    const shape = grid(piece * chunks, limits.workgroup, limits.maxWorkgroupsPerDimension);
    commands.dispatch({
      kernel,
      params: [at, piece, chunks, shape.width, this.#source.precision === "f16" ? exponent : 0],
      buffers: [staging, target.rows],
      grid: shape,
    });
    if (target.codes !== undefined && certificate !== undefined) {
      if (codeFacts !== undefined) memory.write(target.codes.facts, at * certificate.factWords * 4, codeFacts);
      if (encoder !== undefined) this.#encode(encoder, certificate, target, target.codes, at, piece);
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
  async #encoder(certificate: Certificate | undefined): Promise<Kernel | undefined> {
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
    kernel: Kernel,
    certificate: Certificate,
    rows: Pick<CopyBuffers, "rows" | "facts">,
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
      buffers: [rows.rows, rows.facts, basis, target.codes, target.facts],
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
    exponent: number,
    certificate: Certificate | undefined,
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
      if (precision !== "b1" && !(isOrdinary && exponent === 0)) {
        // Of rows of extreme norm the float32 term may be off: of float32 rows it is made anew.
        const norm =
          values !== undefined
            ? rowNorm(values, r * stride, stride)
            : precision === "i8"
              ? this.#codedNorm(r, scales[r] ?? 0)
              : metric === "cosine"
                ? 1 / term
                : term;
        scale = 2 ** rowExponent(metric, precision, norm, exponent);
        scaledTerm = metric === "cosine" ? 1 / (norm * scale) : norm * scale;
        if (values !== undefined)
          for (let i = r * stride; i < (r + 1) * stride; i++) values[i] = (values[i] ?? 0) * scale;
      }
      facts[r * this.factWords] = scaledTerm;
      if (precision === "i8") facts[r * 2 + 1] = (scales[r] ?? 0) * scale;
    }
    return { facts, codeFacts: precision === "i8" ? storedCodeFacts(facts, count, certificate) : undefined };
  }

  /** The norm of an i8 row of the scratch area. */
  #codedNorm(row: number, scale: number): number {
    const { rowBytes } = this.#source;
    let sum = 0;
    for (const code of new Int8Array(this.#scratch.buffer, row * rowBytes, rowBytes)) sum += code * code;
    return scale * Math.sqrt(sum);
  }
}

/** Facts of i8 rows as codes of themselves: no error, no residual. */
function storedCodeFacts(
  facts: Float32Array,
  count: number,
  certificate: Certificate | undefined,
): Uint32Array<ArrayBuffer> | undefined {
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
