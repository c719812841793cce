/**
 * A scripted history of a collection and what it holds after each change, for tests that stop it
 * anywhere. Every change is a version, so a version's number says which state it must have.
 */
import type { Collection, VectorRecord } from "../../src/collection/contract.ts";
import { STORAGE_LIMITS } from "../../src/core/limits.ts";
import { contentOf, vectorOf } from "./open.ts";

export const DIMENSIONS = 8;

export type Content = Map<string, { vector: number[]; metadata: unknown }>;

/** What a change does, and what the records are after it. */
interface Change {
  readonly run: (collection: Collection) => Promise<unknown>;
  readonly apply: (content: Content) => Content;
}

/** Changes that are called together. One that makes no version (a tag, compaction) has no `apply`. */
interface Step {
  readonly changes: readonly Change[];
  readonly run?: (collection: Collection) => Promise<unknown>;
  readonly tags?: Readonly<Record<string, number>>;
}

/** Bounds small enough that a short history meets all of them: bulk upserts, whole deletes, checkpoints, compaction. */
export function shrinkLimits(limits: Partial<Record<keyof typeof STORAGE_LIMITS, number>> = {}): void {
  Object.assign(STORAGE_LIMITS, { journalRecordBytes: 4096, stagedBytes: 1024, compactRows: 1000, ...limits });
}

export function plain({ id, vector, metadata }: VectorRecord): [string, { vector: number[]; metadata: unknown }] {
  return [id, { vector: Array.from(vector, Math.fround), metadata }];
}

function made(first: number, count: number, label: string): VectorRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `id-${first + i}`,
    vector: vectorOf(first + i + label.length * 1000, DIMENSIONS),
    metadata: { label, i, even: i % 2 === 0 },
  }));
}

function upsert(records: readonly VectorRecord[], mode: "upsert" | "insert" | "update" = "upsert"): Change {
  return {
    run: (collection) => collection.upsert(records, { mode }),
    apply: (content) => new Map([...content, ...records.map(plain)]),
  };
}

function deleteIds(ids: readonly string[]): Change {
  return {
    run: (collection) => collection.delete(ids),
    apply: (content) => new Map([...content].filter(([id]) => !ids.includes(id))),
  };
}

function deleteLabel(label: string): Change {
  return {
    run: (collection) => collection.delete({ filter: { label, even: true } }),
    apply: (content) =>
      new Map(
        [...content].filter(([, { metadata }]) => {
          const { label: own, even } = metadata as { label: string; even: boolean };
          return !(own === label && even);
        }),
      ),
  };
}

const ids = (first: number, count: number): string[] => Array.from({ length: count }, (_, i) => `id-${first + i}`);

/** The state that each version has, and the steps that lead there. */
export class History {
  readonly states: readonly Content[];
  readonly steps: readonly Step[];

  constructor() {
    const states: Content[] = [new Map()];
    const steps: Step[] = [];
    const add = (...changes: Change[]): number => {
      for (const change of changes) states.push(change.apply(states.at(-1) ?? new Map()));
      steps.push({ changes });
      return states.length - 1;
    };
    const tags: Record<string, number> = {};
    const tag = (name: string, version: number): void => {
      tags[name] = version;
      steps.push({ changes: [], tags: { ...tags }, run: (collection) => collection.tag(name, version) });
    };
    const restoreTo = (version: number): Change => ({
      run: (collection) => collection.restore(version),
      apply: () => states[version] ?? new Map(),
    });

    add(upsert(made(0, 6, "first")));
    add(upsert([...made(4, 3, "second")]), deleteIds(["id-1", "id-4"]), upsert(made(1, 1, "third"), "insert"));
    tag("early", 3);
    add(upsert(made(100, 60, "bulk"))); // a segment
    add(upsert(made(2, 2, "updated"), "update"));
    add(upsert([...made(150, 40, "twice"), ...made(155, 40, "again")])); // a segment whose ids come twice: a checkpoint
    add(deleteLabel("bulk"));
    steps.push({ changes: [], run: (collection) => collection.compact({ keepVersions: 4 }) });
    add(upsert(made(0, 2, "after")), upsert(made(300, 2, "after")));
    add(restoreTo(states.length - 3));
    tag("early", states.length - 1);
    add(deleteIds(ids(100, 200)));
    add(upsert(made(7, 3, "last")));
    this.states = states;
    this.steps = steps;
  }
}

/** How far a history came. */
export class Progress {
  /** Versions that were acknowledged, and those that may be there besides. */
  acknowledged = 0;
  underWay = 0;
  tags: Readonly<Record<string, number>> = {};
  nextTags: Readonly<Record<string, number>> = {};

  allows(version: number): boolean {
    return version >= this.acknowledged && version <= this.acknowledged + this.underWay;
  }
}

/** Runs all steps; `progress` tells how far it came when this rejects. */
export async function runHistory(collection: Collection, { steps }: History, progress: Progress): Promise<void> {
  for (const { changes, run, tags } of steps) {
    progress.underWay = changes.length;
    progress.nextTags = tags ?? progress.tags;
    await Promise.all([...changes.map((change) => change.run(collection)), run?.(collection)]);
    progress.acknowledged += changes.length;
    progress.underWay = 0;
    progress.tags = progress.nextTags;
  }
}

/** What is there must be one of the states that may be; returns its version. */
export async function checkState(collection: Collection, { states }: History, progress: Progress): Promise<number> {
  const { version } = collection;
  if (!progress.allows(version)) {
    throw new Error(
      `version ${version} where ${progress.acknowledged} to ${progress.acknowledged + progress.underWay} may be`,
    );
  }
  await checkContent(collection, states[version] ?? new Map());
  const tags = JSON.stringify(await collection.tags());
  if (![progress.tags, progress.nextTags].some((allowed) => JSON.stringify(allowed) === tags)) {
    throw new Error(
      `tags ${tags} where ${JSON.stringify(progress.tags)} or ${JSON.stringify(progress.nextTags)} may be`,
    );
  }
  return version;
}

/** Scan, count, get and an exact query must agree with what is expected. */
export async function checkContent(collection: Collection, expected: Content): Promise<void> {
  const found = await contentOf(collection);
  if (!isSame(found, expected)) {
    throw new Error(
      `version ${collection.version} has ${[...found.keys()].join()}, expected ${[...expected.keys()].join()}`,
    );
  }
  if (collection.size !== expected.size) throw new Error(`size ${collection.size} of ${expected.size}`);
  const even = [...expected.values()].filter(({ metadata }) => (metadata as { even: boolean }).even).length;
  if ((await collection.count({ even: true })) !== even) throw new Error("count and scan do not agree");
  const wanted = [...expected.keys(), "nobody"];
  const records = await collection.get(wanted);
  if (records.some((record, i) => record?.id !== (i < expected.size ? wanted[i] : undefined))) {
    throw new Error("get and scan do not agree");
  }
  const { matches } = await collection.query({ vector: vectorOf(1, DIMENSIONS), k: expected.size + 1, include: [] });
  const ranked = new Set(matches.map(({ id }) => id));
  if (ranked.size !== expected.size || [...ranked].some((id) => !expected.has(id))) {
    throw new Error("a search finds other records than there are");
  }
}

function isSame(a: Content, b: Content): boolean {
  const text = (content: Content): string => JSON.stringify([...content].sort(([x], [y]) => (x < y ? -1 : 1)));
  return text(a) === text(b);
}
