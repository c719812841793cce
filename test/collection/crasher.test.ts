/**
 * Writers of a collection in a real folder, killed with SIGKILL at random moments: what was
 * acknowledged is there, what was under way is there wholly or not at all, and a next writer goes
 * on. NEARFIELD_CRASHES=5000 for a long run, NEARFIELD_SEED to repeat one.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Collection } from "../../src/collection/contract.ts";
import { systemClock } from "../../src/core/clock.ts";
import { uniform } from "../../src/core/random.ts";
import { openCollection } from "../../src/node.ts";

const CRASHES = Number(process.env["NEARFIELD_CRASHES"] ?? 100);
const SEED = Number(process.env["NEARFIELD_SEED"] ?? 1);
const CRASHER = join(import.meta.dirname, "crasher.js");

type Operation =
  | { readonly kind: "upsert"; readonly step: number; readonly ids: readonly number[] }
  | { readonly kind: "delete"; readonly ids: readonly number[] }
  | { readonly kind: "delete bucket"; readonly bucket: number }
  | { readonly kind: "compact" | "tag" };
type Line = { readonly begin: readonly Operation[] } | { readonly done: number };

/** Number of an id → the step that wrote it. */
type Model = ReadonlyMap<number, number>;

function after(model: Model, operation: Operation): Model {
  switch (operation.kind) {
    case "upsert":
      return new Map([...model, ...operation.ids.map((id) => [id, operation.step] as const)]);
    case "delete":
      return new Map([...model].filter(([id]) => !operation.ids.includes(id)));
    case "delete bucket":
      return new Map([...model].filter(([id]) => id % 7 !== operation.bucket));
    case "compact":
    case "tag":
      return model;
    default:
      return operation satisfies never;
  }
}

/** Runs a writer for so long and kills it; the states that may be there afterwards, the last one acknowledged first. */
async function killedWriter(folder: string, seed: number, model: Model, lifeMs: number): Promise<Model[]> {
  const child = spawn(process.execPath, [CRASHER, folder, String(seed)], { stdio: ["ignore", "pipe", "pipe"] });
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const exited = new Promise<NodeJS.Signals | null>((resolve) => {
    child.on("close", (_code, signal) => resolve(signal));
  });
  let states: Model[] = [model];
  let isKillDue = false;
  for await (const text of createInterface({ input: child.stdout })) {
    const line: Line = JSON.parse(text);
    const [acknowledged = model] = states;
    if ("done" in line) {
      states = states.slice(-1);
    } else {
      states = [acknowledged];
      for (const operation of line.begin) states.push(after(states.at(-1) ?? acknowledged, operation));
    }
    if (!isKillDue) systemClock.after(lifeMs, () => child.kill("SIGKILL"));
    isKillDue = true;
  }
  expect(await exited, complaint).toBe("SIGKILL");
  return states;
}

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nearfield-crasher-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function modelOf(collection: Collection): Promise<Model> {
  const model = new Map<number, number>();
  for await (const batch of collection.scan()) {
    for (const { id, vector, metadata } of batch) {
      const number = Number(id.slice(3));
      const step = Number(metadata?.["step"]);
      expect([...vector]).toEqual([step % 1000, number, 1, 0]);
      expect(metadata?.["bucket"]).toBe(number % 7);
      expect(model.has(number)).toBe(false);
      model.set(number, step);
    }
  }
  return model;
}

const isSame = (a: Model, b: Model): boolean => a.size === b.size && [...a].every(([id, step]) => b.get(id) === step);

/** Filters, counts, look-ups and searches say the same as the records themselves. */
async function checkAgreement(collection: Collection, model: Model): Promise<void> {
  expect(collection.size).toBe(model.size);
  expect(await collection.count({})).toBe(model.size);
  expect(await collection.count({ bucket: 3 })).toBe([...model.keys()].filter((id) => id % 7 === 3).length);
  const ids = Array.from({ length: 300 }, (_, id) => id);
  const found = await collection.get(ids.map((id) => `id-${id}`));
  expect(found.map((record) => record !== undefined)).toEqual(ids.map((id) => model.has(id)));
  const query = [500, 150, 1, 0];
  const { matches } = await collection.query({ vector: query, k: 10, filter: { bucket: { $ne: 3 } } });
  const nearest = [...model]
    .filter(([id]) => id % 7 !== 3)
    .map(([id, step]) => Math.fround(Math.hypot((step % 1000) - 500, id - 150)))
    .sort((a, b) => a - b)
    .slice(0, 10);
  expect(matches.map(({ distance }) => distance)).toEqual(nearest);
}

it(`${CRASHES} killed writers lose nothing that was acknowledged (seed ${SEED})`, async () => {
  const random = uniform(SEED);
  let model: Model = new Map();
  let underWay = 0;
  let recoveries = 0;
  for (let crash = 1; crash <= CRASHES; crash++) {
    const states = await killedWriter(folder, SEED * 100_003 + crash, model, random() * 80);
    const collection = await openCollection(folder, { backend: "cpu", threads: 1 });
    try {
      const found = await modelOf(collection);
      expect(
        states.some((state) => isSame(state, found)),
        `after crash ${crash}`,
      ).toBe(true);
      await checkAgreement(collection, found);
      const { damages } = await collection.verify();
      expect(damages.length).toBeLessThanOrEqual(collection.recovered === undefined ? 0 : 1);
      if (states.length > 1) underWay++;
      if (collection.recovered !== undefined) recoveries++;
      model = found;
    } finally {
      await collection.close();
    }
  }
  // Kills that strike between changes prove little; a process that dies tears nothing, so recoveries are few.
  expect(underWay).toBeGreaterThan(CRASHES / 10);
  expect(recoveries).toBeLessThan(CRASHES / 2);
});
