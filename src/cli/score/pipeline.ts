/**
 * Batch scoring: batches of queries are read ahead, searched several at a time, and written in
 * order. Memory is bounded by the batches under way, whatever the number of queries. Pure but for
 * the three functions that it is given.
 */

export interface Stages<Batch, Answer> {
  /** The next batch; undefined at the end. One call at a time. */
  readonly read: () => Promise<Batch | undefined>;
  /** Several at a time. */
  readonly search: (batch: Batch) => Promise<Answer>;
  /** In the order of reading, one call at a time. */
  readonly write: (batch: Batch, answer: Answer) => Promise<void>;
}

export interface PipelineOptions {
  /** Batches searched at the same time: one that the device works on, and one behind it. */
  readonly inFlight: number;
  /** Milliseconds from an arbitrary start. */
  readonly now: () => number;
  /** Ends reading; what was read is still searched and written. */
  readonly stop: AbortSignal;
}

/** Milliseconds that each stage had something under way. They overlap. */
export interface BusyMs {
  readonly read: number;
  readonly search: number;
  readonly write: number;
}

interface Running<Batch, Answer> {
  readonly batch: Batch;
  readonly answer: Promise<Answer>;
}

/** Resolves when all is written, or all that was read before `stop`. Rejects with the first failure, once nothing runs any more. */
export async function runPipeline<Batch, Answer>(
  stages: Stages<Batch, Answer>,
  { inFlight, now, stop }: PipelineOptions,
): Promise<BusyMs> {
  const meters = { read: new Meter(now), search: new Meter(now), write: new Meter(now) };
  const running: Running<Batch, Answer>[] = [];
  let ahead = stop.aborted ? undefined : meters.read.time(stages.read());
  const drain = async (): Promise<void> => {
    const first = running.shift();
    if (first === undefined) return;
    const answer = await first.answer;
    await meters.write.time(stages.write(first.batch, answer));
  };
  try {
    for (let batch = await ahead; batch !== undefined; batch = await ahead) {
      const answer = meters.search.time(stages.search(batch));
      answer.catch(() => {}); // told when its turn to be written comes
      running.push({ batch, answer });
      ahead = stop.aborted ? undefined : meters.read.time(stages.read());
      ahead?.catch(() => {}); // told by the loop
      if (running.length >= inFlight) await drain();
    }
    while (running.length > 0) await drain();
  } finally {
    await Promise.allSettled([ahead, ...running.map(({ answer }) => answer)]);
  }
  return { read: meters.read.busyMs, search: meters.search.busyMs, write: meters.write.busyMs };
}

/** Time during which at least one of the promises was pending. */
class Meter {
  readonly #now: () => number;
  #pending = 0;
  #since = 0;
  busyMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  time<T>(task: Promise<T>): Promise<T> {
    if (this.#pending++ === 0) this.#since = this.#now();
    return task.finally(() => {
      if (--this.#pending === 0) this.busyMs += this.#now() - this.#since;
    });
  }
}
