/**
 * Which codes an index gets, if any: the rows themselves at first, their leading principal
 * directions once those are learnt and worth it. A worker of the exact backend learns, beside
 * searches, which meanwhile use what there is.
 */
import type { LearnDirections, RowSource } from "../core/backend.ts";
import type { ProductMetric } from "../core/basis.ts";
import type { LearntProjection } from "../core/learn.ts";
import { LIMITS } from "../core/limits.ts";
import { basisSampleRows, meanOf, sampleRows } from "../core/sample.ts";
import { inSlices, type WorkSlices } from "../core/slices.ts";
import { makeCertificate, MOST_DIRECTIONS, type Projection } from "./certificate-copy.ts";
import type { DeviceMemory } from "./memory.ts";
import { indexExponent } from "./query.ts";
import type { Residency } from "./residency.ts";

export interface ScanChoiceOptions {
  readonly scan: "auto" | "full" | "certified";
  readonly isSoftware: boolean;
  readonly memoryBudgetBytes: number;
  /** Bytes of rows from which `"auto"` makes codes. */
  readonly certifiedBytes: number;
  /** Rows from which directions are learnt. */
  readonly learnRows: number;
  readonly learn: LearnDirections;
}

/** Times that learning may fail, as it does when its worker dies, before it is left. */
const MOST_FAILURES = 3;

/** Of certified queries, those that had to be scanned again in full before `"auto"` stops certifying. */
const MOST_RESCANS = 0.25;
const LEAST_QUERIES = 64;

export class ScanChoice {
  readonly #source: RowSource;
  readonly #options: ScanChoiceOptions;
  #projection: Projection | undefined;
  #mean: Float32Array | undefined;
  /** Rows when directions were last learnt, or that was tried. */
  #triedRows = 0;
  #failures = 0;
  #isLearning = false;
  #queries = 0;
  #rescans = 0;
  #isGivenUp = false;
  #codedCandidates: number = LIMITS.codedCandidates;
  #isStopped = false;

  constructor(source: RowSource, options: ScanChoiceOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** Gives the residency the codes that it shall have for `rowCount` rows. */
  apply(residency: Residency, memory: DeviceMemory, rowCount: number): void {
    const metric = this.#wanted(residency, rowCount);
    if (metric === undefined) {
      residency.certify(undefined);
      return;
    }
    const present = residency.certificate;
    const directions = this.#projection?.directions ?? this.#source.dimensions;
    if (present !== undefined && present.directions === directions && present.isIdentity === !this.#projection) return;
    if (metric === "euclidean" && this.#source.precision !== "i8") this.#mean ??= meanOf(this.#source, rowCount);
    const exponent = indexExponent(metric, this.#source.precision, this.#source.maxNorm);
    residency.certify(makeCertificate(memory, this.#source, metric, exponent, this.#projection, this.#mean));
  }

  /** Whether it is time to learn; `learn` then. */
  get shallLearn(): boolean {
    const { rowCount, precision } = this.#source;
    if (this.#isLearning || this.#isStopped || precision === "i8" || !this.#isWorthCodes(rowCount)) return false;
    return rowCount >= this.#options.learnRows && rowCount >= 16 * this.#triedRows;
  }

  /** Ends learning that is under way, before it reads the rows again, and for good. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Learns directions from the rows there are; the next `apply` uses them. */
  async learn(slices: WorkSlices): Promise<void> {
    const metric = this.#metric();
    if (metric === undefined) return;
    this.#isLearning = true;
    try {
      const isStopped = (): boolean => this.#isStopped;
      const { dimensions, rowCount, rowBytes, stride } = this.#source;
      this.#triedRows = rowCount;
      const count = Math.min(rowCount, basisSampleRows(dimensions));
      const sample = await inSlices(sampleRows(this.#source, rowCount, count), slices, isStopped);
      if (sample === undefined) return;
      const request = { metric, dimensions, sample, count, rowCount, rowBytes };
      const learnt = await this.#options.learn(this.#source, request, isStopped);
      if (learnt === undefined) return;
      const projection = await inSlices(transposed(learnt, stride), slices, isStopped);
      if (this.#isStopped) return;
      this.#projection = projection;
      if (metric === "euclidean") this.#mean = learnt.mean;
      if (this.#options.scan === "auto" && learnt.expectedBytesPerRow >= learnt.fullBytesPerRow) this.#isGivenUp = true;
    } catch (error) {
      if (this.#isStopped) return; // what is closed meanwhile fails, and nobody wants it any more
      if (++this.#failures < MOST_FAILURES) this.#triedRows = 0;
      throw error;
    } finally {
      this.#isLearning = false;
    }
  }

  /** Rows that the codes leave a query, as far as was seen. */
  get codedCandidates(): number {
    return this.#codedCandidates;
  }

  /**
   * What came of certified queries, and the most candidates that one had. Where most of them needed
   * another scan, certifying costs instead of saving; but not where the next ones get more room.
   */
  tell(queries: number, rescans: number, most: number): void {
    const roomFor = Math.min(most, LIMITS.rescanRows / 2);
    if (roomFor > this.#codedCandidates) {
      this.#codedCandidates = roomFor;
      return;
    }
    this.#queries += queries;
    this.#rescans += rescans;
    if (this.#queries < LEAST_QUERIES) return;
    if (this.#options.scan === "auto" && this.#rescans > MOST_RESCANS * this.#queries) this.#isGivenUp = true;
    this.#queries /= 2;
    this.#rescans /= 2;
  }

  #metric(): ProductMetric | undefined {
    const { metric, precision } = this.#source;
    if (this.#options.scan === "full" || precision === "b1") return undefined;
    return metric === "cosine" || metric === "dot" || metric === "euclidean" ? metric : undefined;
  }

  #wanted(residency: Residency, rowCount: number): ProductMetric | undefined {
    const bytes = rowCount * residency.rowBytes(this.#projection?.directions ?? this.#source.dimensions);
    if (bytes > this.#options.memoryBudgetBytes) return undefined; // streamed rows have no codes
    return this.#isWorthCodes(rowCount) ? this.#metric() : undefined;
  }

  /** Whether so many rows shall have codes, if there is room for them. */
  #isWorthCodes(rowCount: number): boolean {
    const { scan, isSoftware, memoryBudgetBytes, certifiedBytes } = this.#options;
    const bytes = rowCount * this.#source.rowBytes;
    // Sums of codes are int32: 127² × dimensions stays below 2³¹ for all the dimensions there may be.
    if (this.#metric() === undefined || rowCount === 0 || bytes > memoryBudgetBytes) return false;
    return scan === "certified" || (!this.#isGivenUp && !isSoftware && bytes >= certifiedBytes);
  }
}

/** The directions as the device takes them; undefined where none is worth it, or more are than it can take. */
function* transposed({ projection }: LearntProjection, stride: number): Generator<number, Projection | undefined> {
  const { length: m = 0, dimensions = 0, vectors, defect = 0 } = projection ?? {};
  if (vectors === undefined || m > MOST_DIRECTIONS) return undefined;
  const columns = new Float32Array(stride * m);
  for (let d = 0; d < dimensions; d++) {
    yield m;
    for (let j = 0; j < m; j++) columns[d * m + j] = vectors[j * dimensions + d] ?? 0;
  }
  return { directions: m, defect, transposed: columns };
}
