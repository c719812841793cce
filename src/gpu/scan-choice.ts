/**
 * Which codes an index gets, if any: the rows themselves at first, their leading principal
 * directions once those are learnt and worth it. Learning runs in slices on the caller's thread,
 * beside searches, which meanwhile use what there is.
 */
import type { RowSource } from "../core/backend.ts";
import type { ProductMetric } from "../core/basis.ts";
import type { learnProjection, LearntProjection } from "../core/learn.ts";
import { LIMITS } from "../core/limits.ts";
import { basisSampleRows, meanOf, sampleRows } from "../core/sample.ts";
import { inSlices, type WorkSlices } from "../core/slices.ts";
import { LateCode } from "../core/late-code.ts";
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
  /** Called the first time that the code that learns cannot be loaded. */
  readonly onMissing: (cause: unknown) => void;
}

/** Of certified queries, those that had to be scanned again in full before `"auto"` stops certifying. */
const MOST_RESCANS = 0.25;
const LEAST_QUERIES = 64;

export class ScanChoice {
  readonly #source: RowSource;
  readonly #options: ScanChoiceOptions;
  readonly #learner: LateCode<typeof learnProjection>;
  #projection: Projection | undefined;
  #mean: Float32Array | undefined;
  /** Rows when directions were last learnt, or that was tried. */
  #triedRows = 0;
  #isLearning = false;
  #queries = 0;
  #rescans = 0;
  #isGivenUp = false;
  #codedCandidates: number = LIMITS.codedCandidates;
  #isStopped = false;

  constructor(source: RowSource, options: ScanChoiceOptions) {
    this.#source = source;
    this.#options = options;
    this.#learner = new LateCode(async () => (await import("../core/learn.ts")).learnProjection, options.onMissing);
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
      const learner = await this.#learner.get();
      if (learner === undefined || this.#isStopped) return;
      const { dimensions, rowCount } = this.#source;
      this.#triedRows = rowCount;
      const count = Math.min(rowCount, basisSampleRows(dimensions));
      const learnt = await inSlices(
        learning(learner, this.#source, metric, rowCount, count),
        slices,
        () => this.#isStopped,
      );
      if (learnt === undefined) return;
      this.#projection = learnt.transposed;
      if (metric === "euclidean") this.#mean = learnt.mean;
      if (this.#options.scan === "auto" && learnt.expectedBytesPerRow >= learnt.fullBytesPerRow) this.#isGivenUp = true;
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

/** What the rows' sample teaches, the directions as the device takes them. */
function* learning(
  learner: typeof learnProjection,
  source: RowSource,
  metric: ProductMetric,
  rowCount: number,
  count: number,
): Generator<number, LearntProjection & { transposed: Projection | undefined }> {
  const { dimensions, rowBytes, stride } = source;
  const sample = yield* sampleRows(source, rowCount, count);
  const learnt = yield* learner({ metric, dimensions, sample, count, rowCount, rowBytes });
  const { length: m = 0, vectors, defect = 0 } = learnt.projection ?? {};
  if (vectors === undefined || m > MOST_DIRECTIONS) return { ...learnt, transposed: undefined };
  const transposed = new Float32Array(stride * m);
  for (let d = 0; d < dimensions; d++) {
    yield m;
    for (let j = 0; j < m; j++) transposed[d * m + j] = vectors[j * dimensions + d] ?? 0;
  }
  return { ...learnt, transposed: { directions: m, defect, transposed } };
}
