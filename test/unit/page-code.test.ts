/** The page's kernels, which are loaded when the page first does a worker's work: where they cannot be, workers do it, and the next search tries again. */
import { afterEach, expect, test, vi } from "vitest";
import { reference } from "../../src/core/reference.ts";
import { nodeSpawner } from "../../src/cpu/spawn-node.ts";
import type { EngineEvent } from "../../src/core/events.ts";
import { createIndexOn, type Internals, withInternals } from "../../src/engine/create-index.ts";
import type { Index } from "../../src/engine/vector-index.ts";
import { nodeGpu } from "../../src/gpu/provider-node.ts";
import { platformOf } from "../../src/platform.ts";
import { makeData } from "../contract/data.ts";

afterEach(() => {
  vi.doUnmock("../../src/cpu/in-page.ts");
});

const offline = (): never => {
  throw new TypeError("Failed to fetch dynamically imported module");
};
const D = 12;
const { rows, queries } = makeData("gaussian", "cosine", 300, 3, D, 7);

async function opened(internals: Internals, onEvent?: (event: EngineEvent) => void): Promise<Index> {
  const options = { dimensions: D, backend: "cpu", threads: 2, ...(onEvent === undefined ? {} : { onEvent }) } as const;
  const index = await createIndexOn(platformOf(nodeSpawner, nodeGpu), withInternals(options, internals));
  await index.add(rows);
  return index;
}

async function expectAnswers(index: Index): Promise<void> {
  const result = await index.search(queries, { k: 4 });
  for (let q = 0; q < 3; q++) {
    const query = queries.subarray(q * D, (q + 1) * D);
    expect(result.hits(q)).toEqual(reference({ metric: "cosine", rows, dimensions: D, query, k: 4 }));
  }
}

test("without workers a search rejects, and answers when it is made again", async () => {
  vi.doMock("../../src/cpu/in-page.ts", offline);
  const index = await opened({ usesWorkers: false });
  for (let i = 0; i < 2; i++) {
    await expect(index.search(queries, { k: 4 })).rejects.toMatchObject({
      code: "BACKEND_UNAVAILABLE",
      message: expect.stringMatching(/could not be loaded .*call again/),
    });
  }
  vi.doUnmock("../../src/cpu/in-page.ts");
  await expectAnswers(index);
  await index.close();
});

test("workers do the page's part, and an event says so once", async () => {
  vi.doMock("../../src/cpu/in-page.ts", offline);
  const events: string[] = [];
  const index = await opened({}, ({ code, message }) => events.push(`${code}: ${message}`));
  for (let i = 0; i < 2; i++) await expectAnswers(index);
  const { rowsScannedInPage, rowsScannedInWorkers } = index.stats().cpu;
  expect(rowsScannedInPage).toBe(0);
  expect(rowsScannedInWorkers).toBeGreaterThan(0);
  expect(events.filter((event) => event.startsWith("cpu-step-down"))).toEqual([
    expect.stringMatching(/page's own kernels could not be loaded/),
  ]);
  vi.doUnmock("../../src/cpu/in-page.ts");
  await expectAnswers(index);
  expect(index.stats().cpu.rowsScannedInPage).toBeGreaterThan(0);
  await index.close();
});
