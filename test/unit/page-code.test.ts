/** The page's kernels, which are loaded when the page first does a worker's work: where they cannot be, the next search tries again. */
import { afterEach, expect, test, vi } from "vitest";
import { reference } from "../../src/core/reference.ts";
import { nodeSpawner } from "../../src/cpu/spawn-node.ts";
import { createIndexOn, withInternals } from "../../src/engine/create-index.ts";
import { nodeGpu } from "../../src/gpu/provider-node.ts";
import { platformOf } from "../../src/platform.ts";
import { makeData } from "../contract/data.ts";

afterEach(() => {
  vi.doUnmock("../../src/cpu/in-page.ts");
});

test("a search whose code cannot be loaded rejects, and answers when it is made again", async () => {
  vi.doMock("../../src/cpu/in-page.ts", () => {
    throw new TypeError("Failed to fetch dynamically imported module");
  });
  const D = 12;
  const { rows, queries } = makeData("gaussian", "cosine", 300, 3, D, 7);
  const options = { dimensions: D, backend: "cpu" } as const;
  const index = await createIndexOn(platformOf(nodeSpawner, nodeGpu), withInternals(options, { usesWorkers: false }));
  await index.add(rows);
  for (let i = 0; i < 2; i++) await expect(index.search(queries, { k: 4 })).rejects.toThrow();

  vi.doUnmock("../../src/cpu/in-page.ts");
  const result = await index.search(queries, { k: 4 });
  for (let q = 0; q < 3; q++) {
    const query = queries.subarray(q * D, (q + 1) * D);
    expect(result.hits(q)).toEqual(reference({ metric: "cosine", rows, dimensions: D, query, k: 4 }));
  }
  await index.close();
});
