/** Random histories of a collection against a Map, in several precisions; after each, everything that reads is compared. */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Collection, VectorRecord } from "../../src/collection/contract.ts";
import { NearfieldError } from "../../src/core/errors.ts";
import type { Metric, Precision } from "../../src/core/metric.ts";
import { referenceDistance, storedRow } from "../../src/core/reference.ts";
import { MemoryFolder } from "../../src/storage/memory-driver.ts";
import { openIn } from "./open.ts";

const DIMENSIONS = 5;
const IDS = ["a", "b", "c", "d", "e", "f", "ü", "__proto__", "constructor", "1"];

interface Plain {
  readonly vector: readonly number[];
  readonly metadata: { readonly tag: string; readonly n: number } | undefined;
}
type Model = ReadonlyMap<string, Plain>;

type Mode = "upsert" | "insert" | "update";
type Operation =
  | {
      readonly kind: "upsert";
      readonly records: readonly ({ readonly id: string } & Plain)[];
      readonly mode: Mode;
      readonly skips: boolean;
    }
  | { readonly kind: "delete"; readonly ids: readonly string[] }
  | { readonly kind: "delete matches"; readonly tag: string }
  | { readonly kind: "restore"; readonly back: number }
  | { readonly kind: "checkout"; readonly back: number }
  | { readonly kind: "tag"; readonly name: string }
  | { readonly kind: "compact" | "reopen" | "reader" };

const element = fc.integer({ min: -40, max: 40 }).map((n) => n / 8);
/** Now and then one that cannot be stored: NaN, or too short. */
const vector = fc.oneof(
  { weight: 30, arbitrary: fc.array(element, { minLength: DIMENSIONS, maxLength: DIMENSIONS }) },
  { weight: 1, arbitrary: fc.constant([1, Number.NaN, 0, 0, 0]) },
  { weight: 1, arbitrary: fc.constant([1, 2]) },
);
const metadata = fc.option(fc.record({ tag: fc.constantFrom("x", "y", "z"), n: fc.integer({ min: 0, max: 5 }) }), {
  nil: undefined,
});
const someIds = fc.array(fc.constantFrom(...IDS, "nobody"), { maxLength: 4 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("upsert" as const),
      records: fc.array(fc.record({ id: fc.constantFrom(...IDS), vector, metadata }), { maxLength: 6 }),
      mode: fc.constantFrom<Mode>("upsert", "upsert", "upsert", "insert", "update"),
      skips: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), ids: someIds }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("delete matches" as const), tag: fc.constantFrom("x", "y", "w") }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restore" as const), back: fc.integer({ min: 0, max: 12 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("checkout" as const), back: fc.integer({ min: 0, max: 12 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("tag" as const), name: fc.constantFrom("t", "u") }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("compact" as const, "reopen" as const, "reader" as const) }),
  },
);

const isStorable = ({ vector: values }: Plain): boolean =>
  values.length === DIMENSIONS && values.every(Number.isFinite);

/** A collection and what it should be. */
class Twin {
  readonly #folder = new MemoryFolder();
  readonly #precision: Precision;
  readonly #metric: Metric;
  #collection: Collection;
  /** State of each version there was. */
  #states: Model[] = [new Map()];
  #tags: Record<string, number> = {};

  private constructor(collection: Collection, folder: MemoryFolder, precision: Precision, metric: Metric) {
    this.#collection = collection;
    this.#folder = folder;
    this.#precision = precision;
    this.#metric = metric;
  }

  static async open(precision: Precision, metric: Metric): Promise<Twin> {
    const folder = new MemoryFolder();
    return new Twin(await openIn(folder, { dimensions: DIMENSIONS, precision, metric }), folder, precision, metric);
  }

  get #model(): Model {
    return this.#states.at(-1) ?? new Map();
  }

  async run(op: Operation): Promise<void> {
    switch (op.kind) {
      case "upsert":
        await this.#upsert(op);
        break;
      case "delete":
        await this.#delete(new Set(op.ids), () => this.#collection.delete(op.ids));
        break;
      case "delete matches": {
        const gone = [...this.#model].filter(([, record]) => record.metadata?.tag === op.tag).map(([id]) => id);
        await this.#delete(new Set(gone), () => this.#collection.delete({ filter: { tag: op.tag } }));
        break;
      }
      case "restore":
      case "checkout":
        await this.#goBack(op.kind, op.back);
        break;
      case "tag":
        await this.#collection.tag(op.name);
        this.#tags = { ...this.#tags, [op.name]: this.#states.length - 1 };
        break;
      case "compact":
        await this.#collection.compact({ keepVersions: 3 });
        break;
      case "reopen":
        await this.#collection.close();
        this.#collection = await openIn(this.#folder);
        break;
      case "reader": {
        const reader = await openIn(this.#folder, { readOnly: true });
        await this.#check(reader, this.#model);
        await reader.close();
        break;
      }
      default:
        op satisfies never;
    }
    await this.#check(this.#collection, this.#model);
    expect(this.#collection.version).toBe(this.#states.length - 1);
    expect(await this.#collection.tags()).toEqual(this.#tags);
  }

  async close(): Promise<void> {
    expect((await this.#collection.verify()).damages).toEqual([]);
    await this.#collection.close();
  }

  async #upsert({ records, mode, skips }: Extract<Operation, { kind: "upsert" }>): Promise<void> {
    const given = records as readonly VectorRecord[];
    const call = this.#collection.upsert(given, { mode, onInvalid: skips ? "skip" : "reject" });
    const good = records.filter(isStorable);
    const next = new Map(good.map(({ id, ...record }) => [id, record]));
    const clash = [...next.keys()].some((id) =>
      mode === "insert" ? this.#model.has(id) : mode === "update" && !this.#model.has(id),
    );
    if (!skips && good.length < records.length) {
      const { code } = await call.then(
        () => ({ code: "nothing" }),
        (error: NearfieldError) => error,
      );
      expect(["INVALID_VECTOR", "INVALID_DIMENSIONS"]).toContain(code);
    } else if (clash) {
      await expect(call).rejects.toMatchObject({ code: mode === "insert" ? "ID_EXISTS" : "NOT_FOUND" });
    } else {
      expect(await call).toMatchObject({
        written: next.size,
        duplicates: good.length - next.size,
        version: this.#states.length - (next.size === 0 ? 1 : 0),
      });
      if (next.size > 0) this.#states.push(new Map([...this.#model, ...next]));
    }
  }

  async #delete(ids: ReadonlySet<string>, run: () => Promise<{ deleted: number }>): Promise<void> {
    const kept = new Map([...this.#model].filter(([id]) => !ids.has(id)));
    const deleted = this.#model.size - kept.size;
    expect(await run()).toMatchObject({ deleted });
    if (deleted > 0) this.#states.push(kept);
  }

  async #goBack(kind: "restore" | "checkout", back: number): Promise<void> {
    const version = Math.max(0, this.#states.length - 1 - back);
    const listed = (await this.#collection.versions()).some((entry) => entry.version === version);
    if (!listed) {
      await expect(this.#collection[kind](version)).rejects.toMatchObject({ code: "NOT_FOUND" });
      return;
    }
    const state = this.#states[version] ?? new Map();
    if (kind === "restore") {
      expect(await this.#collection.restore(version)).toBe(this.#states.length);
      this.#states.push(state);
      return;
    }
    const old = await this.#collection.checkout(version);
    await this.#check(old, state);
    await old.close();
  }

  /** Scan, size, count, get and an exact query against the model. */
  async #check(collection: Collection, model: Model): Promise<void> {
    expect(collection.size).toBe(model.size);
    const scanned: VectorRecord[] = [];
    for await (const batch of collection.scan({ batch: 3 })) scanned.push(...batch);
    expect(scanned.map(({ id }) => id).sort()).toEqual([...model.keys()].sort());
    for (const record of scanned) expect(record.metadata).toEqual(model.get(record.id)?.metadata);
    const found = await collection.get(IDS);
    expect(found.map((record) => record?.id)).toEqual(IDS.map((id) => (model.has(id) ? id : undefined)));
    const wanted = (tag: string | undefined): boolean => tag === "x" || tag === "z";
    const filter = { tag: { $in: ["x", "z"] } };
    expect(await collection.count(filter)).toBe(
      [...model.values()].filter((record) => wanted(record.metadata?.tag)).length,
    );
    const query = [1, -2, 0.5, 3, -0.25];
    const { matches } = await collection.query({ vector: query, k: 5, filter });
    const expected = [...model]
      .filter(([, record]) => wanted(record.metadata?.tag))
      .map(([id, record]) => ({ id, distance: this.#distance(query, record.vector) }))
      .sort((a, b) => a.distance - b.distance);
    expect(matches.map(({ distance }) => distance)).toEqual(expected.slice(0, 5).map(({ distance }) => distance));
    for (const { id, distance } of matches) expect(expected.find((hit) => hit.id === id)?.distance).toBe(distance);
  }

  #distance(query: readonly number[], values: readonly number[]): number {
    const row = storedRow(this.#precision, values.map(Math.fround));
    const asked = this.#precision === "b1" ? query.map((x) => (x > 0 ? 1 : 0)) : query.map(Math.fround);
    return referenceDistance(this.#metric, asked, row);
  }
}

it.each<[Precision, Metric]>([
  ["f32", "euclidean"],
  ["f16", "dot"],
  ["i8", "manhattan"],
  ["b1", "hamming"],
])("a collection of %s rows is a Map that finds the nearest", async (precision, metric) => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 25 }), async (operations) => {
      const twin = await Twin.open(precision, metric);
      for (const op of operations) await twin.run(op);
      await twin.close();
    }),
    { numRuns: 40 },
  );
});
