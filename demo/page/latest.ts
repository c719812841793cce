/**
 * Asks one question at a time and the newest next: what came in between while one was answered is left out, so that
 * somebody who types or draws faster than the engine answers never waits for a queue. Every answer is shown, the last
 * question's always.
 */
export class Latest<Q> {
  readonly #answer: (question: Q) => Promise<void>;
  readonly #fail: (error: unknown) => void;
  /** Boxed, because a question may be anything. */
  #next: { readonly question: Q } | undefined;
  #isAnswering = false;

  /** `fail` gets what `answer` rejects with; the questions after it go on. */
  constructor(answer: (question: Q) => Promise<void>, fail: (error: unknown) => void) {
    this.#answer = answer;
    this.#fail = fail;
  }

  ask(question: Q): void {
    this.#next = { question };
    if (!this.#isAnswering) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isAnswering = true;
    for (let next = this.#next; next !== undefined; next = this.#next) {
      this.#next = undefined;
      try {
        await this.#answer(next.question);
      } catch (error) {
        this.#fail(error);
      }
    }
    this.#isAnswering = false;
  }
}
