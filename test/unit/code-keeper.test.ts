/** The keeper of codes against workers that fail, and its own decisions. */
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import type { EngineEvent } from "../../src/core/events.ts";
import { readRows } from "../../src/core/matrix.ts";
import { WorkSlices } from "../../src/core/slices.ts";
import { CodeKeeper, type CodeWorkshop } from "../../src/cpu/code-keeper.ts";
import { storeShape } from "../../src/cpu/layout.ts";
import { RowStore } from "../../src/cpu/row-store.ts";
import { normal } from "../contract/random.ts";

const D = 32;

function setUp(
  workshop: Partial<CodeWorkshop>,
  rowCount = 600,
  scan: "auto" | "certified" = "certified",
  learnRows = 1e9,
): { keeper: CodeKeeper; store: RowStore; events: EngineEvent[]; encoded: number[] } {
  const store = new RowStore(storeShape("f32", "cosine", D, 1, true, 64), false);
  const gauss = normal(1);
  const reader = readRows(Float32Array.from({ length: rowCount * D }, gauss), D, "f32");
  for (let row = 0; row < rowCount; row++) {
    store.reserve(row);
    store.write(row, reader, row);
  }
  store.commit(rowCount);
  const events: EngineEvent[] = [];
  const encoded: number[] = [];
  const keeper = new CodeKeeper(
    store,
    "cosine",
    {
      width: 2,
      encode: async (_, blocks) => void encoded.push(...blocks.map(({ block }) => block)),
      learn: async () => undefined,
      ...workshop,
    },
    {
      scan,
      codedBytes: 1,
      learnRows,
      directions: undefined,
      slices: new WorkSlices(systemClock, 1 << 18),
      emit: (event) => events.push(event),
    },
  );
  return { keeper, store, events, encoded };
}

/** Turns of the event loop, enough for all that waits for nothing else. */
async function idle(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
}

describe("the keeper of codes", () => {
  test("has every block encoded, once, and again after a change of it", async () => {
    const { keeper, store, encoded } = setUp({});
    keeper.prepare();
    await idle();
    expect(encoded).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(keeper.stats).toEqual({ directions: D, codedRows: 600, learning: null });
    store.touch(200);
    keeper.prepare();
    await idle();
    expect(encoded.slice(10)).toEqual([3]);
  });

  test("does not overlook what is asked for while it works", async () => {
    let isFirst = true;
    const { keeper, store, encoded } = setUp({
      encode: async (_, blocks) => {
        encoded.push(...blocks.map(({ block }) => block));
        if (!isFirst) return;
        isFirst = false;
        store.touch(0); // already passed
        keeper.prepare();
      },
    });
    keeper.prepare();
    await idle();
    expect(encoded.filter((block) => block === 0)).toHaveLength(2);
  });

  test("gives up after three failures, says so once, and lets searches go on", async () => {
    let attempts = 0;
    const { keeper, store, events } = setUp({
      encode: async () => {
        attempts++;
        throw new Error("no memory");
      },
    });
    keeper.prepare();
    await idle();
    expect(attempts).toBe(3);
    expect(events.map(({ code }) => code)).toEqual(["codes-abandoned"]);
    expect(store.basis).toBeUndefined();
    expect(keeper.stats).toBeNull();
    keeper.prepare();
    await idle();
    expect(attempts).toBe(3);
    expect(await keeper.read(async () => 7)).toBe(7);
  });

  test("a failure to learn counts as one too", async () => {
    let attempts = 0;
    const learn = async (): Promise<never> => {
      attempts++;
      throw new Error("no memory");
    };
    const { keeper, events } = setUp({ learn }, 600, "certified", 500);
    keeper.prepare();
    await idle();
    expect(attempts).toBe(3);
    expect(events.map(({ code }) => code)).toEqual(["codes-abandoned"]);
  });

  test("reads wait for a change under way, and changes for reads", async () => {
    const log: string[] = [];
    let finish: () => void = () => {};
    const { keeper } = setUp(
      {
        encode: () =>
          new Promise<void>((resolve) => {
            log.push("encodes");
            finish = resolve;
          }),
      },
      60,
    );
    const early = keeper.read(async () => {
      await idle();
      log.push("read");
    });
    keeper.prepare();
    await early;
    await idle();
    const late = keeper.read(async () => void log.push("read after"));
    await idle();
    expect(log).toEqual(["read", "encodes"]);
    finish();
    await late;
    expect(log).toEqual(["read", "encodes", "read after"]);
  });

  test("stop lets what is under way finish and begins nothing", async () => {
    const { keeper, encoded } = setUp({});
    keeper.prepare();
    await keeper.stop();
    await idle();
    expect(encoded.length).toBeLessThanOrEqual(2);
    expect(await keeper.read(async () => 1)).toBe(1);
  });

  test("makes codes of a store that nobody prepared once it was scanned often without", async () => {
    const { keeper, encoded } = setUp({});
    const use = { judged: 0, missing: 0, survivors: 0, rescans: new Uint8Array(1), directions: 0 };
    for (let scans = 0; scans < 7; scans++) keeper.tell(use, 600);
    await idle();
    expect(encoded).toEqual([]);
    keeper.tell(use, 600);
    await idle();
    expect(encoded).toHaveLength(10);
    // A worker lost its codes: a search says that some were missing.
    keeper.tell({ ...use, missing: 64 }, 600);
    await idle();
    expect(encoded).toHaveLength(20);
  });
});
