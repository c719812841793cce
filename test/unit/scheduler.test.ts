import { describe, expect, test } from "vitest";
import { LIMITS } from "../../src/core/limits.ts";
import { type Job, type Piece, Scheduler } from "../../src/engine/scheduler.ts";
import { FakeClock, settle } from "./fake-clock.ts";

interface TestJob extends Job {
  readonly name: string;
}

const STORE = {};

function job(name: string, queries = 1, extra: Partial<TestJob> = {}): TestJob {
  return { name, queries, width: 10, elements: 10, group: STORE, ...extra };
}

/** A scheduler whose batches wait until the test lets them finish. */
function setUp(options: { windowMs?: number; maxQueued?: number } = {}): {
  clock: FakeClock;
  scheduler: Scheduler<TestJob>;
  batches: (readonly Piece<TestJob>[])[];
  finish: (error?: Error) => Promise<void>;
} {
  const clock = new FakeClock();
  const batches: (readonly Piece<TestJob>[])[] = [];
  const running: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const scheduler = new Scheduler<TestJob>({
    batchesInFlight: () => LIMITS.batchesInFlight,
    clock,
    windowMs: options.windowMs ?? 0,
    maxQueued: options.maxQueued ?? 1000,
    execute: (pieces) => {
      batches.push(pieces);
      return new Promise((resolve, reject) => running.push({ resolve, reject }));
    },
  });
  return {
    clock,
    scheduler,
    batches,
    finish: async (error) => {
      const batch = running.shift();
      if (error === undefined) batch?.resolve();
      else batch?.reject(error);
      await settle();
    },
  };
}

const sizes = (pieces: readonly Piece<TestJob>[] | undefined): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const {
    job: { name },
    count,
  } of pieces ?? [])
    counts[name] = (counts[name] ?? 0) + count;
  return counts;
};

describe("the scheduler", () => {
  test("gathers 64 searches of one turn into one batch", async () => {
    const { clock, scheduler, batches, finish } = setUp();
    const done = Promise.all(Array.from({ length: 64 }, (_, i) => scheduler.submit(job(`${i}`))));
    await clock.advance(0);
    expect(batches).toHaveLength(1);
    expect(batches[0]).toHaveLength(64);
    await finish();
    await done;
    expect(scheduler.stats).toEqual({ batches: 1, largestBatch: 64, queuedQueries: 0, batchesInFlight: 0 });
  });

  test("waits for the window, and what gathers while batches run leaves together", async () => {
    const { clock, scheduler, batches, finish } = setUp({ windowMs: 5 });
    void scheduler.submit(job("a"));
    await clock.advance(4);
    expect(batches).toHaveLength(0);
    await clock.advance(1);
    expect(batches).toHaveLength(1);
    void scheduler.submit(job("b"));
    await clock.advance(5);
    expect(batches).toHaveLength(2);
    for (let i = 0; i < 10; i++) void scheduler.submit(job(`late ${i}`));
    await clock.advance(100);
    expect(batches).toHaveLength(2);
    await finish();
    expect(batches).toHaveLength(3);
    expect(batches[2]).toHaveLength(10);
  });

  test("cuts a large search, and a small one that comes later does not wait for all of it", async () => {
    const { clock, scheduler, batches, finish } = setUp({ maxQueued: 1e6 });
    void scheduler.submit(job("large", LIMITS.batchQueries * 10));
    void scheduler.submit(job("small", 3));
    await clock.advance(0);
    expect(sizes(batches[0])).toEqual({ large: LIMITS.batchQueries - 3, small: 3 });
    await finish();
    expect(sizes(batches[2])).toEqual({ large: LIMITS.batchQueries });
  });

  test("shares a batch fairly between two large searches", async () => {
    const { clock, scheduler, batches } = setUp({ maxQueued: 1e6 });
    void scheduler.submit(job("a", 5000));
    void scheduler.submit(job("b", 5000));
    await clock.advance(0);
    expect(sizes(batches[0])).toEqual({ a: LIMITS.batchQueries / 2, b: LIMITS.batchQueries / 2 });
  });

  test("covers every query of a job exactly once", async () => {
    const { clock, scheduler, batches, finish } = setUp({ maxQueued: 1e6 });
    let isDone = false;
    void scheduler.submit(job("a", 3001)).then(() => (isDone = true));
    void scheduler.submit(job("b", 700));
    await clock.advance(0);
    while (!isDone) await finish();
    const seen = batches
      .flat()
      .filter(({ job: { name } }) => name === "a")
      .flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i));
    expect(seen.sort((x, y) => x - y)).toEqual(Array.from({ length: 3001 }, (_, i) => i));
  });

  test("bounds the result slots of a batch, but lets one query through whatever its width", async () => {
    const { clock, scheduler, batches } = setUp({ maxQueued: 1e6 });
    void scheduler.submit(job("wide", 8, { width: LIMITS.batchResults / 4 }));
    void scheduler.submit(job("wider", 1, { width: LIMITS.batchResults * 2 }));
    await clock.advance(0);
    expect(sizes(batches[0])).toEqual({ wide: 4 });
    expect(sizes(batches[1])).toEqual({ wider: 1 });
  });

  test("bounds the elements of a batch in the same way", async () => {
    const { clock, scheduler, batches } = setUp({ maxQueued: 1e6 });
    void scheduler.submit(job("wide", 8, { elements: LIMITS.batchElements / 4 }));
    void scheduler.submit(job("wider", 1, { elements: LIMITS.batchElements * 2 }));
    await clock.advance(0);
    expect(sizes(batches[0])).toEqual({ wide: 4 });
    expect(sizes(batches[1])).toEqual({ wider: 1 });
  });

  test("never mixes row stores in a batch", async () => {
    const { clock, scheduler, batches } = setUp();
    void scheduler.submit(job("old"));
    void scheduler.submit(job("new", 1, { group: {} }));
    await clock.advance(0);
    expect(batches.map(sizes)).toEqual([{ old: 1 }, { new: 1 }]);
  });

  test("refuses with BUSY beyond maxQueued, and takes any one search when nothing is queued", async () => {
    const { clock, scheduler, finish } = setUp({ maxQueued: 4 });
    const first = scheduler.submit(job("large", 10));
    await expect(scheduler.submit(job("more"))).rejects.toMatchObject({ code: "BUSY" });
    await clock.advance(0);
    await finish();
    await first;
    await expect(Promise.race([scheduler.submit(job("later")), settle()])).resolves.toBeUndefined();
  });

  test("drops an aborted search from the queue at once, and frees its room", async () => {
    const { clock, scheduler, batches } = setUp({ maxQueued: 3 });
    const controller = new AbortController();
    const aborted = scheduler.submit(job("aborted", 3, { signal: controller.signal }));
    controller.abort(new Error("changed my mind"));
    await expect(aborted).rejects.toMatchObject({ code: "ABORTED", cause: new Error("changed my mind") });
    void scheduler.submit(job("other", 3));
    await clock.advance(0);
    expect(batches.map(sizes)).toEqual([{ other: 3 }]);
    await expect(scheduler.submit(job("dead", 1, { signal: AbortSignal.abort("x") }))).rejects.toMatchObject({
      code: "ABORTED",
    });
  });

  test("tells when no batch works on an aborted search any more, which is later than its rejection", async () => {
    const { clock, scheduler, finish } = setUp();
    const log: string[] = [];
    const controller = new AbortController();
    const searching = scheduler.submit(job("aborted", 1, { signal: controller.signal }), () => log.push("released"));
    await clock.advance(0);
    const rejected = expect(searching).rejects.toMatchObject({ code: "ABORTED" });
    controller.abort();
    await rejected;
    expect(log).toEqual([]);
    await finish();
    expect(log).toEqual(["released"]);
    await scheduler.submit(job("dead", 1, { signal: controller.signal }), () => log.push("refused")).catch(() => {});
    expect(log).toEqual(["released", "refused"]);
  });

  test("counts a bitmap that jobs share once a batch", async () => {
    const { clock, scheduler, batches } = setUp();
    const heavy = { elements: LIMITS.batchElements * 0.75 };
    const shared = { key: {}, ...heavy };
    for (const name of ["a", "b"]) void scheduler.submit(job(name, 1, { shared }));
    void scheduler.submit(job("c", 1, { shared: { key: {}, ...heavy } }));
    await clock.advance(0);
    expect(batches.map(sizes)).toEqual([{ a: 1, b: 1 }, { c: 1 }]);
  });

  test("a failing batch rejects its own searches and no others", async () => {
    const { clock, scheduler, finish } = setUp();
    const bad = scheduler.submit(job("bad"));
    await clock.advance(0);
    const good = scheduler.submit(job("good"));
    await clock.advance(0);
    bad.catch(() => {}); // looked at below
    await finish(new Error("boom"));
    await finish();
    await expect(bad).rejects.toThrow("boom");
    await expect(good).resolves.toBeUndefined();
  });

  test("close refuses what is queued, waits for what runs, and refuses what comes later", async () => {
    const { clock, scheduler, finish } = setUp();
    const running = scheduler.submit(job("running"));
    await clock.advance(0);
    void scheduler.submit(job("also running"));
    await clock.advance(0);
    const queued = scheduler.submit(job("queued"));
    let isClosed = false;
    const closing = scheduler.close(() => new Error("closed")).then(() => (isClosed = true));
    await expect(queued).rejects.toThrow("closed");
    await settle();
    expect(isClosed).toBe(false);
    await finish();
    await finish();
    await closing;
    await expect(running).resolves.toBeUndefined();
    await expect(scheduler.submit(job("late"))).rejects.toThrow("closed");
  });
});
