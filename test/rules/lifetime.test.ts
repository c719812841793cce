/** Processes that use an index must end by themselves with code 0, whatever they leave behind, and faults in workers lose no query. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createIndex, type EngineEvent } from "nearfield";
import { crashWorker, type Internals, withInternals } from "nearfield/testing";
import { describe, expect, test } from "vitest";
import { reference } from "../../src/core/reference.ts";
import { makeData } from "../contract/data.ts";
import { gpuAvailable } from "../setup/backends.ts";

const BACKENDS = [
  { backend: "cpu", isHere: true },
  { backend: "gpu", isHere: gpuAvailable() },
] as const;

async function run(script: string, flags: readonly string[] = []): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [...flags, "--input-type=module", "-e", script],
    {
      cwd: process.cwd(),
      timeout: 45_000, // a process that hangs is killed, and that rejects
    },
  );
  expect(stderr).toBe("");
  return stdout.trim();
}

const SEARCH = `
  const rows = Float32Array.from({ length: 4 * 500 }, (_, i) => Math.sin(i));
  await index.add(rows);
  const { rows: found, report } = await index.search(rows.subarray(8, 12), { k: 3 });
  console.log(report.backend, found[0]);`;

describe.each(BACKENDS)("a process with a $backend index", ({ backend, isHere }) => {
  const here = test.skipIf(!isHere);
  const open = `import { createIndex } from "nearfield"; const index = await createIndex({ dimensions: 4, backend: "${backend}", threads: 2 });`;

  here("exits by itself with code 0 after close", async () => {
    expect(await run(`${open}${SEARCH} await index.close();`)).toBe(`${backend} 2`);
  });

  here("survives garbage collections between all steps", async () => {
    const collect = "for (let i = 0; i < 20; i++) { gc(); await new Promise(setImmediate); }";
    const script = `${open}${collect}{${SEARCH}}${collect}{${SEARCH}}${collect} await index.close(); ${collect}`;
    expect(await run(script, ["--expose-gc"])).toBe(`${backend} 2\n${backend} 2`);
  });

  here("can open and close many indexes, overlapping", async () => {
    const script = `
      import { createIndex } from "nearfield";
      const indexes = await Promise.all([1, 2, 3].map(() => createIndex({ dimensions: 2, backend: "${backend}", threads: 1 })));
      for (const index of indexes) { await index.add([1, 2, 3, 4]); await index.search([1, 2], { k: 1 }); await index.close(); }
      const last = await createIndex({ dimensions: 2, backend: "${backend}", threads: 1 });
      await last.add([1, 2, 3, 4]);
      console.log((await last.search([3, 4], { k: 1 })).rows[0]);
      await Promise.all([last.close(), last.close()]);`;
    expect(await run(script)).toBe("1");
  });
});

describe.each<{ name: string; internals: Internals }>([
  { name: "on shared memory", internals: { cpu: { pageWork: 0 } } },
  { name: "with copies of the rows", internals: { sharesMemory: false } },
])("crashing workers $name", ({ internals }) => {
  const d = 8;
  const { rows, queries } = makeData("gaussian", "euclidean", 5000, 16, d, 21);
  const wanted = Array.from({ length: 16 }, (_, q) =>
    reference({ metric: "euclidean", rows, dimensions: d, query: queries.subarray(q * d, (q + 1) * d), k: 4 }),
  );

  test("are replaced, and the queries they had are answered, equal to the reference", async () => {
    const events: EngineEvent[] = [];
    const index = await createIndex(
      withInternals(
        { dimensions: d, metric: "euclidean", backend: "cpu", threads: 2, onEvent: (e: EngineEvent) => events.push(e) },
        internals,
      ),
    );
    await index.add(rows);
    for (let round = 0; round < 2; round++) {
      const searching = index.search(queries, { k: 4 });
      const [result] = await Promise.all([searching, crashWorker(index)]);
      wanted.forEach((hits, q) => expect(result.hits(q)).toEqual(hits));
      expect(result.report).toMatchObject({ exact: true, backend: "cpu" });
    }
    expect(events.filter((e) => e.code === "worker-crashed")).toHaveLength(2);
    expect(index.stats().cpu.crashes).toBe(2);
    await index.close();
  });

  test("that keep crashing are retired, and when none is left a search rejects with WORKER_FAILED", async () => {
    const events: EngineEvent[] = [];
    const index = await createIndex(
      withInternals(
        { dimensions: d, metric: "euclidean", backend: "cpu", threads: 2, onEvent: (e: EngineEvent) => events.push(e) },
        internals,
      ),
    );
    await index.add(rows);
    for (let crash = 0; crash < 3; crash++) await crashWorker(index);
    expect(events.map((e) => e.code)).toContain("worker-retired");
    const result = await index.search(queries, { k: 4 });
    wanted.forEach((hits, q) => expect(result.hits(q)).toEqual(hits));
    for (let crash = 0; crash < 3; crash++) await crashWorker(index);
    await expect(index.search(queries, { k: 4 })).rejects.toMatchObject({ code: "WORKER_FAILED" });
    await index.close();
  });
});
