/**
 * The caller's thread as one that does a worker's work: its scanner, loaded and started when it is
 * first wanted, the chunks that it knows, one task at a time. Where workers run it takes work that
 * is too small for them; where none can, all.
 */
import type { EventSink } from "../core/events.ts";
import { loadCode } from "../core/late-code.ts";
import type { WorkSlices } from "../core/slices.ts";
import type { KernelBytes } from "./kernels.ts";
import type { RowStore } from "./row-store.ts";
import type { Scanner } from "./scan.ts";
import type { Work } from "./work.ts";

export interface PageOptions {
  /** null: plain-JS kernels. */
  readonly kernels: KernelBytes | null;
  readonly threads: number;
  readonly slices: WorkSlices;
  readonly emit: EventSink;
}

export class PageThread {
  readonly #options: PageOptions;
  #scanner: Promise<Scanner> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #knownChunks = new Map<number, number>();
  /** The page itself may not compile WASM, whatever its workers may. */
  #isPlain = false;
  #isMissingTold = false;

  constructor(options: PageOptions) {
    this.#options = options;
  }

  /** Whether it can take work from workers: its code could be loaded, and its kernels are as fast as theirs. */
  async isAsFast(): Promise<boolean> {
    try {
      await this.scanner();
    } catch (cause) {
      if (!this.#isMissingTold) {
        const message = `the page's own kernels could not be loaded; workers do all of the work, and they are tried again: ${String(cause)}`;
        this.#options.emit({ code: "cpu-step-down", level: "warning", message, cause });
      }
      this.#isMissingTold = true;
      return false;
    }
    return !this.#isPlain;
  }

  /** Does a task when it is its turn. Rejects with BACKEND_UNAVAILABLE where the code for it cannot be loaded. */
  run<T>(store: RowStore, work: Work<T>): Promise<T> {
    const turn = this.#turn.then(() => this.#run(store, work));
    this.#turn = turn.catch(() => {}); // the caller sees the failure; the next task has its own turn
    return turn;
  }

  /** Started once; where its code could not be loaded (BACKEND_UNAVAILABLE) the next call tries again. */
  scanner(): Promise<Scanner> {
    this.#scanner ??= this.#start().catch((error: unknown) => {
      this.#scanner = undefined;
      throw error;
    });
    return this.#scanner;
  }

  async release(store: RowStore): Promise<void> {
    this.#knownChunks.delete(store.id);
    (await this.#scanner?.catch(() => undefined))?.release(store.id);
  }

  async #run<T>(store: RowStore, work: Work<T>): Promise<T> {
    const scanner = await this.scanner();
    this.#options.slices.reset();
    for (let index = this.#knownChunks.get(store.id) ?? 0; index < store.chunks.length; index++) {
      const memory = store.chunks[index];
      if (memory !== undefined) scanner.attachChunk(store.id, store.shape, index, memory);
      this.#knownChunks.set(store.id, index + 1);
    }
    scanner.setBasis(store.id, store.shape, store.basis);
    return work.inPage(scanner);
  }

  async #start(): Promise<Scanner> {
    const { kernels, threads, slices, emit } = this.#options;
    // What workers bring along themselves is loaded into the page only where the page does their work.
    const { compileKernels, Scanner: PageScanner } = await loadCode(
      "searching on the caller's thread",
      () => import("./in-page.ts"),
    );
    const compiled = kernels === null ? { modules: {} } : await compileKernels(kernels);
    if (kernels !== null && compiled.modules.owned === undefined) {
      this.#isPlain = true;
      emit({
        code: "cpu-step-down",
        level: "warning",
        message:
          "WASM could not be compiled in the page (a Content-Security-Policy without 'wasm-unsafe-eval', or no SIMD): plain JS is used, which is slower",
        cause: compiled.problem,
      });
    }
    return new PageScanner(compiled.modules, threads, slices);
  }
}
