/**
 * `nearfield import`: files of vectors into a collection, group after group, each durable when the
 * next begins. How far it came stands in a file beside the collection, so that the same command
 * goes on after a kill; the group that was under way is written again, which changes nothing.
 */
import { appendFile, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { Command, Option } from "commander";
import type { Collection, ModelFingerprint, VectorRecord } from "../collection/contract.ts";
import type { Metadata } from "../collection/metadata.ts";
import { NearfieldError } from "../core/errors.ts";
import type { Metric, Precision } from "../core/metric.ts";
import { openVectors } from "../io/open-source.ts";
import type { FieldNames, VectorBatch, VectorSource } from "../io/vector-source.ts";
import { atLeastOne, modelName } from "./arguments.ts";
import { CommandFailure } from "./failure.ts";
import { ProgressBar } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { withCollection } from "./with-collection.ts";

interface ImportOptions {
  readonly into: string;
  readonly idField?: string;
  readonly vectorField?: string;
  readonly metric?: Metric;
  readonly precision?: Precision;
  readonly model?: ModelFingerprint;
  readonly onInvalid: "skip" | "reject";
  readonly group: number;
  readonly rejects?: string;
  readonly json?: boolean;
}

export function importCommand(terminal: Terminal): Command {
  return new Command("import")
    .description(
      "write files of vectors into a collection, which is made where there is none; goes on where it was cut off",
    )
    .argument("<files...>", "npy, fvecs, bvecs, fbin, u8bin, i8bin, safetensors, Parquet, Arrow IPC, JSON lines, CSV")
    .requiredOption("--into <collection>", "its folder")
    .option("--id-field <name>", 'field of the ids (default "id"; without one, rows are named by their number)')
    .option("--vector-field <name>", 'field of the vectors, or the tensor (default "vector")')
    .addOption(
      new Option("--metric <metric>", "of a new collection").choices([
        "cosine",
        "dot",
        "euclidean",
        "manhattan",
        "hamming",
        "jaccard",
      ]),
    )
    .addOption(new Option("--precision <precision>", "of a new collection").choices(["f32", "f16", "i8", "b1"]))
    .option("--model <name[@revision]>", "which model made the vectors", modelName)
    .addOption(
      new Option("--on-invalid <what>", "what a bad record does").choices(["reject", "skip"]).default("reject"),
    )
    .option("--group <records>", "records that are made durable together", atLeastOne, 10_000)
    .option("--rejects <file>", "where skipped records are told of (default: <collection>.rejects.jsonl)")
    .option("--json", "print JSON")
    .action((files: readonly string[], options: ImportOptions) => runImport(files, options, terminal));
}

/** How far an import came. */
interface Checkpoint {
  /** What is imported, and how: another import does not go on from here. */
  readonly facts: string;
  readonly file: number;
  readonly row: number;
  readonly written: number;
  readonly rejected: number;
}

async function runImport(files: readonly string[], options: ImportOptions, terminal: Terminal): Promise<void> {
  const sources = files.length;
  const rejects = options.rejects ?? `${options.into}.rejects.jsonl`;
  const progress = new Journey(`${options.into}.import.json`, await factsOf(files, options));
  let state = await progress.load();
  const isResumed = state.file > 0 || state.row > 0;
  if (isResumed) terminal.tell(`nearfield: going on with ${files[state.file] ?? ""} at row ${state.row}`);
  else await rm(rejects, { force: true });
  const first = await openVectors(files[state.file] ?? "", { fields: fieldsOf(options) });
  const { dimensions } = first;
  await first.close();
  const { metric, precision, model } = options;
  const settings = {
    create: true,
    dimensions,
    backend: "cpu",
    ...(metric === undefined ? {} : { metric }),
    ...(precision === undefined ? {} : { precision }),
    ...(model === undefined ? {} : { model }),
  } as const;
  await withCollection(options.into, settings, terminal, async (collection) => {
    while (state.file < sources) {
      const done = await importFile(collection, files[state.file] ?? "", sources > 1, state, {
        options,
        rejects,
        progress,
        terminal,
      });
      state = Object.assign(done, { file: done.file + 1, row: 0 });
    }
    await progress.end();
    const { written, rejected } = state;
    const report = {
      collection: options.into,
      records: collection.size,
      version: collection.version,
      written,
      rejected,
    };
    const text = `${written.toLocaleString("en")} records written, ${rejected.toLocaleString("en")} rejected${rejected > 0 ? ` (${rejects})` : ""}; ${options.into} holds ${collection.size.toLocaleString("en")}, version ${collection.version}\n`;
    await terminal.out(options.json === true ? `${JSON.stringify(report)}\n` : text);
  });
}

function fieldsOf({ idField, vectorField }: ImportOptions): FieldNames {
  return { id: idField, vector: vectorField };
}

async function factsOf(
  files: readonly string[],
  { into, idField, vectorField, onInvalid }: ImportOptions,
): Promise<string> {
  const stats = await Promise.all(files.map((file) => stat(file).catch(() => undefined)));
  const told = files.map((file, i) => [resolve(file), stats[i]?.size, stats[i]?.mtimeMs]);
  return JSON.stringify([told, resolve(into), idField, vectorField, onInvalid]);
}

async function importFile(
  collection: Collection,
  path: string,
  isOneOfMany: boolean,
  from: Checkpoint,
  {
    options,
    rejects,
    progress,
    terminal,
  }: { options: ImportOptions; rejects: string; progress: Journey; terminal: Terminal },
): Promise<Checkpoint> {
  const source = await openVectors(path, { fields: fieldsOf(options) });
  const bar = new ProgressBar(terminal, basename(path), "records", source.rowCount, from.row);
  let state = from;
  try {
    checkWidth(source, collection);
    for await (const batch of source.batches({ from: from.row, size: options.group })) {
      if (terminal.interrupted.aborted) {
        throw new CommandFailure(
          `interrupted at row ${state.row} of ${path}; what came before is durable, and the same command goes on from there`,
        );
      }
      const rejected = await importBatch(collection, path, batch, isOneOfMany, options);
      if (rejected.length > 0) await appendFile(rejects, rejected.map((line) => `${JSON.stringify(line)}\n`).join(""));
      state = {
        facts: from.facts,
        file: from.file,
        row: batch.first + batch.count,
        written: state.written + batch.count - rejected.length,
        rejected: state.rejected + rejected.length,
      };
      await progress.save(state);
      bar.show(state.row);
    }
    return state;
  } finally {
    bar.stop();
    await source.close();
  }
}

function checkWidth({ path, dimensions }: VectorSource, collection: Collection): void {
  if (dimensions === collection.dimensions) return;
  throw new NearfieldError("INVALID_DIMENSIONS", {
    got: `${path} with vectors of ${dimensions} elements`,
    expected: `${collection.dimensions}, as ${collection.location} has`,
    remedy: "give files of one width, or import into another collection",
  });
}

interface Rejected {
  readonly file: string;
  readonly row?: number;
  readonly id?: string;
  readonly reason: string;
}

/** Writes a batch as one version; tells of what was left out. */
async function importBatch(
  collection: Collection,
  path: string,
  batch: VectorBatch,
  isOneOfMany: boolean,
  { onInvalid, model }: ImportOptions,
): Promise<Rejected[]> {
  const [bad] = batch.rejected;
  if (bad !== undefined && onInvalid === "reject") {
    throw new NearfieldError("INVALID_VECTOR", {
      got: `row ${bad.row} of ${path}: ${bad.reason}`,
      expected: "a record with a vector in every row",
      remedy: "repair it, or give --on-invalid skip",
      details: bad,
    });
  }
  const records = recordsOf(collection.dimensions, path, batch, isOneOfMany);
  const { rejected } = await collection.upsert(records, { onInvalid, ...(model === undefined ? {} : { model }) });
  return [
    ...batch.rejected.map(({ row, reason }) => ({ file: path, row, reason })),
    ...rejected.map(({ id, reason }) => ({ file: path, id, reason })),
  ];
}

function* recordsOf(
  dimensions: number,
  path: string,
  { rows, vectors, ids, metadata }: VectorBatch,
  isOneOfMany: boolean,
): Generator<VectorRecord, void, void> {
  // Numbers of rows name records of one file only.
  const prefix = isOneOfMany ? `${basename(path)}:` : "";
  for (const [i, row] of rows.entries()) {
    const fields = metadata?.[i];
    yield {
      id: ids?.[i] ?? `${prefix}${row}`,
      vector: vectors.subarray(i * dimensions, (i + 1) * dimensions),
      ...(fields === undefined ? {} : { metadata: { ...fields } as Metadata }),
    };
  }
}

/** The file that says how far an import came; replaced as a whole, gone when the import is done. */
class Journey {
  readonly #path: string;
  readonly #facts: string;

  constructor(path: string, facts: string) {
    this.#path = path;
    this.#facts = facts;
  }

  async load(): Promise<Checkpoint> {
    const none = { facts: this.#facts, file: 0, row: 0, written: 0, rejected: 0 };
    try {
      const found = JSON.parse(await readFile(this.#path, "utf8")) as Checkpoint;
      return found.facts === this.#facts ? found : none;
    } catch {
      return none; // there is none, or a kill left it unreadable: then all is written again, which changes nothing
    }
  }

  async save(state: Checkpoint): Promise<void> {
    await writeFile(`${this.#path}.partial`, JSON.stringify(state));
    await rename(`${this.#path}.partial`, this.#path);
  }

  async end(): Promise<void> {
    await rm(this.#path, { force: true });
  }
}
