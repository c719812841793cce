/**
 * What answers on one page of the demo: an index or a collection, on the backend that "auto" chose, and on demand the
 * same rows on the other backend beside it. Pages ask; the engine room looks in, switches and breaks things. Knows
 * neither what is searched nor how it is shown.
 */
import { batch, type Signal, signal } from "@preact/signals";
import type { BackendInfo, Collection, EngineEvent, IndexStats, SearchReport, VectorIndex } from "nearfield";
import { Latest } from "../latest.ts";
import { Latencies } from "./latency.ts";

export type Kind = BackendInfo["kind"];

export interface Found {
  readonly id: string;
  readonly distance: number;
}

export interface Answer<F extends Found> {
  readonly found: readonly F[];
  readonly report: SearchReport;
}

export interface SideState {
  readonly backend: BackendInfo;
  readonly index: IndexStats;
}

/** The rows of a page on one backend. */
export interface Side<A, F extends Found> {
  /** The backend it was opened on; `state` says what serves it now. */
  readonly kind: Kind;
  /** What `nearfield/testing` may break. */
  readonly target: VectorIndex | Collection;
  ask(question: A): Promise<Answer<F>>;
  state(): Promise<SideState>;
  close(): Promise<void>;
}

export type OpenSide<A, F extends Found> = (
  backend: "auto" | Kind,
  onEvent: (event: EngineEvent) => void,
) => Promise<Side<A, F>>;

/** How a trial with a broken device or worker went. */
export interface Trial {
  readonly what: "device" | "worker";
  readonly asked: number;
  /** Of these, not answered yet when it was broken. */
  readonly underWay: number;
  readonly answered: number;
  /** Answers with the ids that the same questions had before. */
  readonly same: number;
  readonly degraded: readonly string[];
}

/** Events kept for the engine room. */
const KEPT_EVENTS = 30;
/** Questions of a trial: so many at once, and each with so many after it, so that things break under load. */
const TRIAL_LANES = 8;
const TRIAL_ROUNDS = 6;

export class Engine<A = unknown, F extends Found = Found> {
  /** Which side answers the page. */
  readonly active: Signal<Kind>;
  readonly sides: Signal<ReadonlyMap<Kind, Side<A, F>>>;
  readonly lastReport: Signal<SearchReport | undefined> = signal(undefined);
  /** Whether both sides gave the same ids to the last question that both were asked. */
  readonly sidesAgree: Signal<boolean | undefined> = signal(undefined);
  /** Why the other side could not be compared with, last. */
  readonly comparisonFailure: Signal<string | undefined> = signal(undefined);
  readonly events: Signal<readonly EngineEvent[]>;
  /** Counts up with each answer, for whoever draws latencies. */
  readonly answers: Signal<number> = signal(0);
  readonly #latencies = new Map<Kind, Latencies>();
  readonly #open: OpenSide<A, F>;
  readonly #note: (event: EngineEvent) => void;
  readonly #comparisons = new Latest<() => Promise<void>>(
    (compare) => compare(),
    (error) => (this.comparisonFailure.value = String(error)),
  );
  #lastQuestion: A | undefined;
  #openingOther: Promise<void> | undefined;

  private constructor(first: Side<A, F>, open: OpenSide<A, F>, events: Signal<readonly EngineEvent[]>) {
    this.active = signal(first.kind);
    this.sides = signal(new Map([[first.kind, first]]));
    this.events = events;
    this.#open = open;
    this.#note = noteIn(events);
  }

  static async open<A, F extends Found>(open: OpenSide<A, F>): Promise<Engine<A, F>> {
    const events: Signal<readonly EngineEvent[]> = signal([]);
    return new Engine(await open("auto", noteIn(events)), open, events);
  }

  get side(): Side<A, F> {
    const side = this.sides.value.get(this.active.value);
    if (side === undefined) throw new Error("the active side is always open");
    return side;
  }

  latencies(kind: Kind): Latencies {
    let of = this.#latencies.get(kind);
    if (of === undefined) this.#latencies.set(kind, (of = new Latencies()));
    return of;
  }

  /** The active side's answer; the other side, where it is open, answers too and is compared. */
  async ask(question: A): Promise<Answer<F>> {
    this.#lastQuestion = question;
    const kind = this.active.value;
    const answer = await this.#timed(kind, this.side, question);
    for (const [other, side] of this.sides.value) {
      if (other !== kind) this.#comparisons.ask(() => this.#compare(other, side, question, answer));
    }
    return answer;
  }

  /** Opens the other backend over the same rows, once. Rejects where there is none (BACKEND_UNAVAILABLE), and says so. */
  openOther(): Promise<void> {
    this.#openingOther ??= this.#openOther().finally(() => {
      this.#openingOther = undefined;
    });
    return this.#openingOther;
  }

  switchTo(kind: Kind): void {
    if (this.sides.value.has(kind)) this.active.value = kind;
  }

  /** Breaks the GPU's device, or a CPU worker, while questions are under way, and counts what became of them. */
  async tryBreaking(what: Trial["what"]): Promise<Trial> {
    const question = this.#lastQuestion;
    if (question === undefined) throw new Error("nothing was asked yet: search for something first");
    const { crashWorker, loseDevice } = await import("nearfield/testing");
    const side = what === "device" ? (this.sides.value.get("gpu") ?? this.side) : this.side;
    const before = idsOf(await side.ask(question));
    const outcomes: PromiseSettledResult<Answer<F>>[] = [];
    const firsts = Array.from({ length: TRIAL_LANES }, () => side.ask(question));
    const lanes = firsts.map(async (first) => {
      outcomes.push(...(await Promise.allSettled([first])));
      for (let round = 1; round < TRIAL_ROUNDS; round++)
        outcomes.push(...(await Promise.allSettled([side.ask(question)])));
    });
    // All is busy once the first answer is there.
    await Promise.allSettled([Promise.race(firsts)]);
    const asked = TRIAL_LANES * TRIAL_ROUNDS;
    const underWay = asked - outcomes.length;
    await (what === "device" ? loseDevice(side.target) : crashWorker(side.target));
    await Promise.all(lanes);
    const answers = outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    return {
      what,
      asked,
      underWay,
      answered: answers.length,
      same: answers.filter((answer) => idsOf(answer) === before).length,
      degraded: [...new Set(answers.flatMap(({ report }) => report.degraded))],
    };
  }

  async #openOther(): Promise<void> {
    const kind: Kind = this.active.value === "gpu" ? "cpu" : "gpu";
    if (this.sides.value.has(kind)) return;
    const side = await this.#open(kind, this.#note);
    this.sides.value = new Map([...this.sides.value, [kind, side]]);
    if (this.#lastQuestion !== undefined) await this.ask(this.#lastQuestion);
  }

  async #timed(kind: Kind, side: Side<A, F>, question: A): Promise<Answer<F>> {
    const from = performance.now();
    const answer = await side.ask(question);
    const to = performance.now();
    batch(() => {
      this.latencies(kind).add(to - from, to);
      if (kind === this.active.value) this.lastReport.value = answer.report;
      this.answers.value++;
    });
    return answer;
  }

  async #compare(kind: Kind, side: Side<A, F>, question: A, expected: Answer<F>): Promise<void> {
    const isSame = idsOf(await this.#timed(kind, side, question)) === idsOf(expected);
    batch(() => {
      this.sidesAgree.value = isSame;
      this.comparisonFailure.value = undefined;
    });
  }
}

/** The engine of the page that is shown, if it is open. */
export const shownEngine: Signal<Engine | undefined> = signal(undefined);

/** Says which engine the engine room looks into. */
export function showEngine<A, F extends Found>(engine: Engine<A, F> | undefined): void {
  // The engine room never makes up questions: it repeats the last one.
  shownEngine.value = engine;
}

function idsOf({ found }: Answer<Found>): string {
  return found.map(({ id }) => id).join(" ");
}

function noteIn(events: Signal<readonly EngineEvent[]>): (event: EngineEvent) => void {
  return (event) => {
    events.value = [...events.value.slice(1 - KEPT_EVENTS), event];
  };
}
