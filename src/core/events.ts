/** What an index or a collection tells its owner through `onEvent`. The library never writes to the console. */

/**
 * - `backend-selected`: which backend serves the index, and why (`reason`).
 * - `backend-software`: the GPU adapter is a software rasteriser; results are right, speed is not.
 * - `device-lost`: the GPU went away; queries finish on the CPU until `device-recovered`.
 * - `device-recovered`: searches are on the GPU again.
 * - `device-abandoned`: recovery was given up; the CPU serves this index from now on.
 * - `gpu-failed`: a GPU batch failed for a reason other than loss (out of memory, validation); it finished on the CPU.
 * - `gpu-variant-failed`: a kernel variant does not compile on this GPU or gave a wrong answer when probed, and the next one is used; or code for it could not be loaded, and is tried again.
 * - `worker-crashed`: a CPU worker died; it is replaced and its queries run again.
 * - `worker-retired`: a worker slot crashed too often; its rows moved to the others.
 * - `cpu-step-down`: workers or WASM could not start here (a strict page, no SIMD); the next slower way is used.
 * - `codes-abandoned`: int8 codes of the rows could not be made; the CPU scans rows in full, which is slower.
 * - `rows-skipped`: `add` left out invalid rows, as `invalid: "skip"` asks.
 * - `collection-recovered`: opening a collection had to fall back (`collection.recovered`).
 * - `collection-compacted`: a collection had many removed rows, and rewrote itself without them.
 * - `collection-upkeep-failed`: a checkpoint or compaction that the collection began by itself failed; what is committed stays, and it tries again later.
 */
export type EventCode =
  | "backend-selected"
  | "backend-software"
  | "device-lost"
  | "device-recovered"
  | "device-abandoned"
  | "gpu-failed"
  | "gpu-variant-failed"
  | "worker-crashed"
  | "worker-retired"
  | "cpu-step-down"
  | "codes-abandoned"
  | "rows-skipped"
  | "collection-recovered"
  | "collection-compacted"
  | "collection-upkeep-failed";

/** One event: a stable code for programs, a sentence for people, and the error behind it where there is one. */
export interface EngineEvent {
  readonly code: EventCode;
  readonly level: "info" | "warning" | "error";
  readonly message: string;
  readonly cause?: unknown;
}

export type EventSink = (event: EngineEvent) => void;

/**
 * Wraps the caller's callback so that its exceptions never reach the engine's state machines:
 * they are reported the way the platform reports any uncaught error of a callback.
 */
export function safeSink(onEvent: EventSink | undefined): EventSink {
  if (onEvent === undefined) return () => {};
  return (event) => {
    try {
      onEvent(event);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
}
