/** When the GPU's codes learn, and what a failure of it does. */
import { expect, test } from "vitest";
import type { LearnDirections } from "../../src/core/backend.ts";
import { systemClock } from "../../src/core/clock.ts";
import { readRows } from "../../src/core/matrix.ts";
import { WorkSlices } from "../../src/core/slices.ts";
import { storeShape } from "../../src/cpu/layout.ts";
import { RowStore } from "../../src/cpu/row-store.ts";
import { ScanChoice } from "../../src/gpu/scan-choice.ts";
import { normal } from "../contract/random.ts";

const D = 32;
const ROWS = 600;
const slices = new WorkSlices(systemClock, 1 << 18);

function choiceOf(learn: LearnDirections): ScanChoice {
  const store = new RowStore(storeShape("f32", "cosine", D, 1, true, 64), false);
  const reader = readRows(Float32Array.from({ length: ROWS * D }, normal(1)), D, "f32");
  for (let row = 0; row < ROWS; row++) {
    store.reserve(row);
    store.write(row, reader, row);
  }
  store.commit(ROWS);
  return new ScanChoice(store, {
    scan: "certified",
    isSoftware: false,
    memoryBudgetBytes: Infinity,
    certifiedBytes: 1,
    learnRows: 500,
    learn,
  });
}

test("learning that fails is tried three times, then left", async () => {
  let tries = 0;
  const choice = choiceOf(async () => {
    tries++;
    throw new Error("the worker that was learning is no more");
  });
  for (let i = 1; i <= 3; i++) {
    expect(choice.shallLearn).toBe(true);
    await expect(choice.learn(slices)).rejects.toThrow("no more");
    expect(tries).toBe(i);
  }
  expect(choice.shallLearn).toBe(false);
});

test("where no worker can learn it is not asked again until there are many more rows", async () => {
  const asked: number[] = [];
  const choice = choiceOf(async (_, { rowCount, sample, count }) => {
    asked.push(rowCount);
    expect(sample.length).toBe(count * D);
    return undefined;
  });
  await choice.learn(slices);
  expect([asked, choice.shallLearn]).toEqual([[ROWS], false]);
});

test("what fails after it was stopped is nobody's business", async () => {
  let fail: ((error: Error) => void) | undefined;
  const choice = choiceOf(
    () =>
      new Promise((_, reject) => {
        fail = reject;
      }),
  );
  const learning = choice.learn(slices);
  await new Promise((resolve) => setImmediate(resolve));
  choice.stop();
  expect(fail).toBeDefined();
  fail?.(new Error("closed"));
  await expect(learning).resolves.toBeUndefined();
});
