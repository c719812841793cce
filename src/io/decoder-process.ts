/**
 * A process that decodes Parquet and Arrow files, as its reader sees it. The libraries that decode
 * loop for ever on some damaged files and grow arrays without bound on others. A process can be
 * ended whatever it does, and its memory is its own: of a worker thread V8 lets only small
 * allocations fail softly, and takes the whole process along when an array outgrows the thread's
 * `resourceLimits` (seen on Node 20), which a run length of 2³⁰ in a Parquet page does.
 *
 * Whoever starts it ends it. It never keeps a process alive but while a request is under way.
 */
import { type ChildProcess, fork } from "node:child_process";
import { type Clock, systemClock } from "../core/clock.ts";
import { NearfieldError } from "../core/errors.ts";
import { IO_LIMITS } from "../core/limits.ts";
import { type DecoderReply, type DecoderRequest, errorOf, type SourceFacts } from "./decoder-api.ts";
import entry from "./decoder-main.ts?module-file";
import { corrupt, unsupported } from "./file-bytes.ts";
import type { VectorBatch } from "./vector-source.ts";

export interface DecoderOptions {
  /** Most bytes of JavaScript's heap; of typed arrays the file's size and IO_LIMITS.groupBytes are the bound. */
  readonly heapBytes?: number;
  /** Time without an answer or a sign of progress after which it counts as hung. */
  readonly silenceMs?: number;
  readonly clock?: Clock;
}

interface Pending {
  readonly resolve: (value: SourceFacts | VectorBatch | undefined) => void;
  readonly reject: (error: Error) => void;
}

/** Silence is counted in so many parts: a reader that was busy or asleep for long counts it as one. */
const SILENCE_PARTS = 10;

/** V8's default: it makes less of a heap whose bound is told, and collects a tenth longer. */
const YOUNG_SPACE = ["--max-semi-space-size=16"];

export class DecoderProcess {
  readonly #child: ChildProcess;
  readonly #heapBytes: number;
  readonly #silenceMs: number;
  readonly #clock: Clock;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #path = "";
  #next = 0;
  /** Why nothing can be asked any more. */
  #gone: Error | undefined;
  #silentParts = 0;
  #stopWatching: (() => void) | undefined;

  private constructor(options: DecoderOptions) {
    this.#heapBytes = options.heapBytes ?? IO_LIMITS.decoderHeapBytes;
    this.#silenceMs = options.silenceMs ?? IO_LIMITS.decoderSilenceMs;
    this.#clock = options.clock ?? systemClock;
    this.#child = fork(entry, [], {
      execArgv: [`--max-old-space-size=${Math.ceil(this.#heapBytes / 2 ** 20)}`, ...YOUNG_SPACE],
      serialization: "advanced",
      stdio: ["pipe", "ignore", "ignore", "ipc"],
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        const how = signal ?? `exit code ${code}`;
        this.#lose(this.#path === "" ? notStarted(how) : this.#died(how));
        resolve();
      });
      this.#child.on("error", (cause) => {
        if (this.#child.pid !== undefined) return; // its exit tells
        this.#lose(notStarted(String(cause), cause));
        resolve();
      });
    });
    this.#child.on("message", (reply: DecoderReply) => this.#take(reply));
  }

  /** Rejects with WORKER_FAILED. */
  static async start(options: DecoderOptions = {}): Promise<DecoderProcess> {
    const decoder = new DecoderProcess(options);
    let cancel: (() => void) | undefined;
    const late = new Promise<void>((_, reject) => {
      cancel = decoder.#clock.after(IO_LIMITS.decoderSilenceMs, () => reject(notStarted("no sign of life")));
    });
    try {
      await Promise.race([decoder.#expect(READY), late]);
      return decoder;
    } catch (error) {
      await decoder.end();
      throw error;
    } finally {
      cancel?.();
    }
  }

  get isAlive(): boolean {
    return this.#gone === undefined;
  }

  /** Opens a file in place of the last. Rejects as its format does, and as {@link next} does. */
  async open(request: Omit<DecoderRequest & { kind: "open" }, "kind">): Promise<SourceFacts> {
    this.#path = request.path;
    return (await this.#ask({ kind: "open", ...request })) as SourceFacts; // what `open` is answered by
  }

  /** A number for a new reading of the file. */
  reading(): number {
    return this.#next++;
  }

  /** The next batch of a reading. Rejects with CORRUPT where decoding hangs, UNSUPPORTED_FORMAT where it takes too much memory. */
  async next(reading: number, from: number, size: number): Promise<VectorBatch | undefined> {
    return (await this.#ask({ kind: "next", reading, from, size })) as VectorBatch | undefined; // what `next` is answered by
  }

  /** Ends a reading; of one that is gone there is nothing to end. */
  async leave(reading: number): Promise<void> {
    if (this.isAlive) await this.#ask({ kind: "leave", reading }).catch(() => {});
  }

  /** Idempotent. Resolves when the process is gone. */
  end(): Promise<void> {
    this.#lose(
      new NearfieldError("CLOSED", {
        got: `a read of ${this.#path}, which is closed`,
        expected: "an open file",
        remedy: "open it again, or close it later",
      }),
    );
    this.#child.ref(); // or a process with nothing else to do ends before this resolves
    return this.#exited;
  }

  #ask(request: DecoderRequest): Promise<SourceFacts | VectorBatch | undefined> {
    if (this.#gone !== undefined) return Promise.reject(this.#gone);
    const id = this.#next++;
    const answer = this.#expect(id);
    this.#child.send({ id, request }, () => {}); // to one that just died it fails; its exit tells
    this.#watch();
    return answer;
  }

  #expect(id: number): Promise<SourceFacts | VectorBatch | undefined> {
    this.#child.ref();
    this.#child.channel?.ref();
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
    });
  }

  #take(reply: DecoderReply): void {
    if (!this.isAlive) return; // what was on its way when it was ended
    this.#silentParts = 0;
    if (reply.kind === "progress") return;
    const id = reply.kind === "ready" ? READY : reply.id;
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#rest();
    if (reply.kind === "failed") pending?.reject(errorOf(reply.failure));
    else pending?.resolve(reply.kind === "done" ? reply.value : undefined);
  }

  /** Nothing is under way: nothing to watch, and nothing that the caller's process should stay for. */
  #rest(): void {
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#child.unref();
    this.#child.channel?.unref();
  }

  #watch(): void {
    if (this.#stopWatching !== undefined) return;
    this.#silentParts = 0;
    const tick = (): void => {
      if (++this.#silentParts > SILENCE_PARTS) this.#lose(this.#hung());
      else this.#stopWatching = this.#clock.after(this.#silenceMs / SILENCE_PARTS, tick);
    };
    tick();
  }

  /** The first reason counts. */
  #lose(reason: Error): void {
    if (this.#gone !== undefined) return;
    this.#gone = reason;
    this.#child.kill("SIGKILL");
    this.#rest();
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }

  #hung(): NearfieldError {
    return corrupt(
      { path: this.#path },
      undefined,
      `to decode something of it within ${this.#silenceMs / 1000} s, which ended without a result or an error`,
    );
  }

  #died(how: string): NearfieldError {
    return unsupported(
      { path: this.#path },
      `its decoding took more than ${Math.round(this.#heapBytes / 2 ** 20)} MiB, or was ended from outside (${how})`,
      "row groups and record batches that fit",
      "write it with smaller row groups or record batches; if it is a small file, it is damaged: write or copy it again",
    );
  }
}

/** Where the first message is expected, among the numbers of requests. */
const READY = -1;

function notStarted(why: string, cause?: unknown): NearfieldError {
  return new NearfieldError("WORKER_FAILED", {
    got: `a process for decoding that could not start (${why})`,
    expected: `one that runs ${entry.href}`,
    remedy: "Parquet and Arrow are read by a process of their own: allow it, or give another format",
    ...(cause === undefined ? {} : { cause }),
  });
}
