/**
 * The order of changes: one after the other, in the order of their calls; those that wait together
 * are committed together. A change may still be getting ready (its records are being checked) when
 * it takes its place; what comes after it waits.
 */

/** A change that may be committed with others, or work that must be alone, such as compaction. */
export type Change<C> =
  | { readonly kind: "shared"; readonly change: C }
  | { readonly kind: "alone"; readonly run: () => Promise<void> };

interface Place<C> {
  /** Set when the change is ready, or has given up. */
  outcome: { readonly change: Change<C> | undefined } | undefined;
  readonly whenReady: Promise<void>;
  readonly refuse: (error: Error) => void;
}

export class ChangeQueue<C> {
  readonly #commit: (changes: readonly C[]) => Promise<void>;
  readonly #most: number;
  readonly #weigh: (change: C) => number;
  readonly #mostWeight: number;
  readonly #places: Place<C>[] = [];
  #running: Promise<void> | undefined;
  #refusal: (() => Error) | undefined;

  /** `commit`: never rejects; tells each change itself how it went. `most`, `mostWeight`: changes of one commit, and their weight but for the last one's. */
  constructor(parts: {
    commit: (changes: readonly C[]) => Promise<void>;
    most: number;
    weigh: (change: C) => number;
    mostWeight: number;
  }) {
    this.#commit = parts.commit;
    this.#most = parts.most;
    this.#weigh = parts.weigh;
    this.#mostWeight = parts.mostWeight;
  }

  /** Takes a place now. `ready` resolves with the change, or with undefined where it has come to nothing; it never rejects. `refuse` is called when the queue closes before its turn. */
  enqueue(ready: Promise<Change<C> | undefined>, refuse: (error: Error) => void): void {
    if (this.#refusal !== undefined) {
      refuse(this.#refusal());
      return;
    }
    const place: Place<C> = {
      outcome: undefined,
      whenReady: ready.then((change) => {
        place.outcome = { change };
      }),
      refuse,
    };
    this.#places.push(place);
    this.#running ??= this.#run();
  }

  /** Lets what is being committed finish and refuses what waits; resolves when nothing runs. */
  async close(refusal: () => Error): Promise<void> {
    this.#refusal ??= refusal;
    for (const place of this.#places.splice(0)) place.refuse(refusal());
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let head = this.#places[0]; head !== undefined; head = this.#places[0]) {
      await head.whenReady;
      // Whoever became ready in the same turn comes along.
      await Promise.resolve();
      await this.#step();
    }
    this.#running = undefined;
  }

  async #step(): Promise<void> {
    const group: C[] = [];
    let weight = 0;
    while (group.length < this.#most && weight < this.#mostWeight) {
      const outcome = this.#places[0]?.outcome;
      if (outcome === undefined) break;
      const { change } = outcome;
      if (change?.kind === "alone" && group.length > 0) break;
      this.#places.shift();
      if (change?.kind === "alone") return change.run();
      if (change === undefined) continue;
      group.push(change.change);
      weight += this.#weigh(change.change);
    }
    if (group.length > 0) await this.#commit(group);
  }
}
