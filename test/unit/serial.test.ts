import { describe, expect, test } from "vitest";
import { ReadersWriterLock } from "../../src/core/lock.ts";
import { SerialQueue } from "../../src/engine/serial.ts";
import { settle } from "./fake-clock.ts";

describe("SerialQueue", () => {
  test("runs tasks one at a time in the order of calls, and goes on after a failure", async () => {
    const queue = new SerialQueue();
    const log: string[] = [];
    const task =
      (name: string, fails = false) =>
      async (): Promise<void> => {
        log.push(`${name} begins`);
        await settle();
        log.push(`${name} ends`);
        if (fails) throw new Error(name);
      };
    const results = await Promise.allSettled([queue.run(task("a")), queue.run(task("b", true)), queue.run(task("c"))]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(log).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  });

  test("does not run a task whose signal aborted before its turn", async () => {
    const queue = new SerialQueue();
    const controller = new AbortController();
    const first = queue.run(settle);
    let hasRun = false;
    const second = queue.run(async () => {
      hasRun = true;
      await settle();
    }, controller.signal);
    const log: string[] = [];
    void first.then(() => log.push("first done"));
    const refused = expect(second).rejects.toMatchObject({ code: "ABORTED" });
    void refused.then(() => log.push("second refused"));
    controller.abort();
    await refused;
    await first;
    await queue.run(settle);
    expect(log).toEqual(["second refused", "first done"]); // at once, not when its turn comes
    expect(hasRun).toBe(false);
  });

  test("close lets the running task finish and refuses the waiting one", async () => {
    const queue = new SerialQueue();
    const running = queue.run(settle);
    const waiting = queue.run(settle);
    await Promise.resolve();
    const refused = expect(waiting).rejects.toThrow("closed");
    const closing = queue.close(() => new Error("closed"));
    await refused;
    await expect(running).resolves.toBeUndefined();
    await closing;
  });
});

describe("ReadersWriterLock", () => {
  test("a writer waits for the readers before it, and readers after it wait for the writer", async () => {
    const lock = new ReadersWriterLock();
    const log: string[] = [];
    expect(lock.beginRead()).toBeUndefined();
    expect(lock.beginRead()).toBeUndefined();
    const writing = lock.write(() => log.push("write"));
    const reading = lock.beginRead();
    expect(reading).toBeInstanceOf(Promise);
    void reading?.then(() => log.push("read"));
    lock.endRead();
    await settle();
    expect(log).toEqual([]);
    lock.endRead();
    await writing;
    await settle();
    expect(log).toEqual(["write", "read"]);
    expect(lock.readers).toBe(1);
  });

  test("a reader that gives up while it waits leaves the others in order", async () => {
    const lock = new ReadersWriterLock();
    expect(lock.beginRead()).toBeUndefined();
    const writing = lock.write(() => {});
    const controller = new AbortController();
    const impatient = expect(lock.beginRead(controller.signal)).rejects.toMatchObject({ code: "ABORTED" });
    const patient = lock.beginRead();
    controller.abort();
    await impatient;
    lock.endRead();
    await writing;
    await patient;
    expect(lock.readers).toBe(1);
  });

  test("lets go after a writer that throws", async () => {
    const lock = new ReadersWriterLock();
    await expect(
      lock.write(() => {
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(lock.beginRead()).toBeUndefined();
  });
});
