/**
 * One set of vectors, several engines, interleaved. nearfield's answers are checked against the
 * oracle before timing and against themselves after it, and other engines' against nearfield's: those
 * that promise exactness must have found all but a hundredth, of the rest the recall is told. A wrong
 * answer gets no number.
 */
import type { SearchReport } from "nearfield";
import { rankProblem, sameAnswer, shapeProblem } from "./answers.ts";
import { type Case, type CaseGroup, casesOf, type Contender, promisesExact, QUERIES } from "./cases/case.ts";
import type { Found, OpenContender, PreparedSearch } from "./contender.ts";
import { type Clocks, interleave, type Timing } from "./interleave.ts";
import { Oracle } from "./oracle.ts";
import type { ScanCodes } from "./scan-copies.ts";
import { round, type Spread, spreadOf } from "./statistics.ts";
import type { Vectors } from "./vectors.ts";

/** Single queries of a turn: enough that a turn of the fastest takes a few ms. */
const SINGLES = 64;
/** Of an exact engine: rounding in its float32 sums may swap rows at the k-th place, no more. */
const LEAST_EXACT_RECALL = 0.99;

export type ContenderOutcome = { readonly contender: Contender } & (
  | {
      readonly status: "ok";
      /** Milliseconds a query. */
      readonly wallMs: Spread;
      /** Milliseconds a query of all threads; null where the platform does not tell. */
      readonly cpuMs: Spread | null;
      /** Base's time / this one's, round by round: above 1 is faster. Null without a base. */
      readonly speedup: Spread | null;
      readonly cpuSpeedup: Spread | null;
      /**
       * Share of the k nearest rows as given (ties included) that were found, over the queries of one turn; against
       * nearfield's checked answer. Null where nearfield has none, and under a filter.
       */
      readonly recall: number | null;
      /** nearfield's report of one search. */
      readonly scan: SearchReport["scan"] | null;
      readonly codes: ScanCodes | null;
    }
  | { readonly status: "wrong" | "failed"; readonly reason: string }
);

export interface CaseResult {
  readonly case: Case;
  readonly rounds: number;
  readonly queriesPerTurn: number;
  readonly contenders: readonly ContenderOutcome[];
}

export interface CompareOptions {
  readonly rounds: number;
  readonly clocks: Clocks;
  /** Opens one contender, filled and ready. */
  open(contender: Contender, group: CaseGroup, vectors: Vectors): Promise<OpenContender>;
  onProgress(stage: string): void;
}

/** Yields a case at a time. Opens every contender, and closes them at the end. */
export async function* compareGroup(
  group: CaseGroup,
  vectors: Vectors,
  options: CompareOptions,
): AsyncGenerator<CaseResult> {
  const oracle = new Oracle(vectors, group.metric);
  const opened: OpenContender[] = [];
  const failures: ContenderOutcome[] = [];
  try {
    for (const contender of group.contenders) {
      options.onProgress(`opening ${contender.name}`);
      try {
        opened.push(await options.open(contender, group, vectors));
      } catch (error) {
        failures.push({ contender, status: "failed", reason: reasonOf(error) });
      }
    }
    for (const c of casesOf(group)) {
      const outcomes = [...(await compareCase(c, group, opened, vectors, oracle, options)), ...failures];
      const inOrder = group.contenders.flatMap((contender) => outcomes.filter((o) => o.contender === contender));
      yield { case: c, rounds: options.rounds, queriesPerTurn: c.batch === 1 ? SINGLES : c.batch, contenders: inOrder };
    }
  } finally {
    for (const contender of opened) await contender.close();
  }
}

async function compareCase(
  c: Case,
  group: CaseGroup,
  opened: readonly OpenContender[],
  vectors: Vectors,
  oracle: Oracle,
  options: CompareOptions,
): Promise<ContenderOutcome[]> {
  const answered: Entrant[] = [];
  const outcomes: ContenderOutcome[] = [];
  for (const open of opened) {
    options.onProgress(`b${c.batch} k${c.k}: checking ${open.contender.name}`);
    const { contender } = open;
    try {
      const entrant = new Entrant(open, c, vectors);
      const problem = await entrant.check(oracle, options.clocks);
      if (problem === undefined) answered.push(entrant);
      else outcomes.push({ contender, status: "wrong", reason: problem });
    } catch (error) {
      outcomes.push({ contender, status: "failed", reason: reasonOf(error) });
    }
  }
  const truth = answered.find(({ isTruth }) => isTruth);
  const right: Entrant[] = [];
  for (const entrant of answered) {
    const problem = truth === undefined ? undefined : entrant.compareWith(truth, oracle);
    if (problem === undefined) right.push(entrant);
    else outcomes.push({ contender: entrant.contender, status: "wrong", reason: problem });
  }
  const timings = await interleave(right, options.rounds, options.clocks, (done) =>
    options.onProgress(`b${c.batch} k${c.k}: round ${done} of ${options.rounds}`),
  );
  const base = timings[right.findIndex(({ name }) => name === group.base)];
  for (const [i, entrant] of right.entries()) {
    const timing = timings[i];
    if (timing === undefined) throw new Error(`${entrant.name} has no times`);
    outcomes.push(await entrant.outcome(timing, base));
  }
  return outcomes;
}

/** One contender in one case. */
class Entrant {
  readonly name: string;
  readonly contender: Contender;
  checkedMs = 0;
  readonly #case: Case;
  readonly #queriesPerTurn: number;
  /** Searches by turn; turns repeat when all held-out queries were used. */
  readonly #turns: readonly (readonly PreparedSearch[])[];
  #found: readonly Found[] = [];
  #recall: number | null = null;

  constructor(open: OpenContender, c: Case, vectors: Vectors) {
    this.contender = open.contender;
    this.name = open.contender.name;
    this.#case = c;
    this.#queriesPerTurn = c.batch === 1 ? SINGLES : c.batch;
    const width = vectors.queries.length / QUERIES;
    this.#turns = Array.from({ length: QUERIES / this.#queriesPerTurn }, (_, turn) =>
      Array.from({ length: this.#queriesPerTurn / c.batch }, (__, i) => {
        const first = turn * this.#queriesPerTurn + i * c.batch;
        return open.prepare(vectors.queries.slice(first * width, (first + c.batch) * width), c.k);
      }),
    );
  }

  /** Whether its answers, once checked, are the exact ones for the rows as given. */
  get isTruth(): boolean {
    const { engine, precision, eligibleShare } = this.contender;
    return engine === "nearfield" && ["f32", "b1"].includes(precision) && eligibleShare === undefined;
  }

  async run(turn: number): Promise<void> {
    for (const search of this.#turns[turn % this.#turns.length] ?? []) await search.run();
  }

  /** What is wrong with the first turn's answers, or undefined. The first and the last query go to the oracle. */
  async check(oracle: Oracle, clocks: Clocks): Promise<string | undefined> {
    const from = clocks.wallMs();
    this.#found = await this.#answers();
    this.checkedMs = clocks.wallMs() - from;
    const { data, batch, k } = this.#case;
    for (const [i, { exact }] of this.#found.entries()) {
      if (exact === undefined) continue;
      const problem = shapeProblem(exact, { rows: data.rows, batch, k });
      if (problem !== undefined) return problem;
      for (const q of [0, this.#queriesPerTurn - 1]) {
        const local = q - i * batch;
        if (local < 0 || local >= batch) continue;
        const { precision, eligibleShare } = this.contender;
        const wanted = oracle.nearest(q, precision, k, eligibleShare);
        const difference = rankProblem(exact, local, wanted, 1e-6 * this.#boundaryScale(wanted.at(-1)?.distance));
        if (difference !== undefined) return difference;
      }
    }
    return undefined;
  }

  /** Works out the recall of the first turn's answers, and says what is wrong with it, or undefined. */
  compareWith(truth: Entrant, oracle: Oracle): string | undefined {
    if (this.contender.eligibleShare !== undefined) return undefined; // other rows than the truth's
    this.#recall = round(this.#recallOf(truth, oracle));
    if (this.#recall >= LEAST_EXACT_RECALL || !promisesExact(this.contender)) return undefined;
    return `recall ${this.#recall} of an exact search`;
  }

  async outcome(timing: Timing, base: Timing | undefined): Promise<ContenderOutcome> {
    const contender = this.contender;
    if (this.#found.some(({ exact }) => exact !== undefined) && !(await this.#repeats()))
      return { contender, status: "wrong", reason: "the answer after timing differs from the one before" };
    const perQuery = (times: readonly number[]): Spread => spreadOf(times.map((ms) => ms / this.#queriesPerTurn));
    const [first] = this.#found;
    return {
      contender,
      status: "ok",
      wallMs: perQuery(timing.wallMs),
      cpuMs: timing.cpuMs === null ? null : perQuery(timing.cpuMs),
      speedup: speedup(base?.wallMs, timing.wallMs),
      cpuSpeedup: speedup(base?.cpuMs, timing.cpuMs),
      recall: this.#recall,
      scan: first?.exact?.report.scan ?? null,
      codes: first?.codes ?? null,
    };
  }

  async #answers(): Promise<Found[]> {
    const found: Found[] = [];
    for (const search of this.#turns[0] ?? []) found.push(await search.run());
    return found;
  }

  /** Whether it still gives the answers of the check. */
  async #repeats(): Promise<boolean> {
    const after = await this.#answers();
    return this.#found.every(({ exact }, i) => {
      const again = after[i]?.exact;
      return exact === undefined || (again !== undefined && sameAnswer(exact, again));
    });
  }

  /** A row counts once, however often it was returned. */
  #recallOf(truth: Entrant, oracle: Oracle): number {
    const { batch, k, data } = this.#case;
    let hits = 0;
    for (const [i, found] of this.#found.entries()) {
      const exact = truth.#found[i]?.exact;
      if (exact === undefined) throw new Error(`${truth.name} gave no answer`);
      const rows = found.rows();
      for (let q = 0; q < batch; q++) {
        const known = new Set(exact.rows.subarray(q * k, (q + 1) * k));
        const last = exact.distances[(q + 1) * k - 1] ?? Infinity;
        const own = new Set(Array.from({ length: k }, (_, hit) => rows[q * k + hit] ?? -1));
        for (const row of own) {
          if (!(row >= 0 && row < data.rows)) continue;
          if (known.has(row) || oracle.distance(i * batch + q, row) <= last) hits++;
        }
      }
    }
    return hits / (this.#queriesPerTurn * k);
  }

  /** What 1e-6 is relative to (DESIGN rule 3). */
  #boundaryScale(distance = 0): number {
    return this.#case.metric === "euclidean" ? distance : 1;
  }
}

function speedup(base: readonly number[] | null | undefined, own: readonly number[] | null): Spread | null {
  if (base === null || base === undefined || own === null) return null;
  // Either may be slow, with fewer rounds: only those that both had are paired.
  const both = Math.min(own.length, base.length);
  return spreadOf(own.slice(0, both).map((ms, i) => (base[i] ?? Number.NaN) / ms));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
