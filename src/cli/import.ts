/**
 * `nearfield import`: files of vectors into a collection, group after group, each durable when the
 * next begins. How far it came stands in a file beside the collection, so that the same command
 * goes on after a kill; the group that was under way is written again, which changes nothing.
 */
import { rm, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { Command, Option } from "commander";
import type { Collection, CollectionOptions } from "../collection/contract.ts";
import { companionName } from "../io/companion.ts";
import { fileFailure } from "../io/file-failure.ts";
import { noRow, openVectors } from "../io/open-source.ts";
import type { FieldNames, VectorSource } from "../io/vector-source.ts";
import { atLeastOne, modelName } from "./arguments.ts";
import { Importer, type ImportOptions, type NumberedSource } from "./importer.ts";
import { type Checkpoint, ImportProgress } from "./import-progress.ts";
import type { Terminal } from "./terminal.ts";
import { withCollection } from "./with-collection.ts";

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

async function runImport(files: readonly string[], given: ImportOptions, terminal: Terminal): Promise<void> {
  // What stands beside the collection must not land in it.
  const options = { ...given, into: given.into.replace(/(?<=.)[/\\]+$/, "") };
  const { into } = options;
  await checkPaths(files, options.rejects);
  const progress = new ImportProgress(`${into}.import.json`, await factsOf(files, options));
  const isNew = (await stateOf(into)) === undefined;
  const wanted = await progress.load();
  const checkpoint = wanted === "other" ? undefined : wanted;
  const fields = { id: options.idField, vector: options.vectorField };
  let sources = sourcesOf(files, isNew ? 0 : (checkpoint?.file ?? 0), fields, terminal);
  let importer: Importer | undefined;
  let opened: Collection | undefined;
  try {
    let next = await sources.next();
    const settings = await settingsOf(options, files, next.value?.source, isNew, fields);
    await withCollection(into, settings, terminal, async (collection) => {
      opened = collection;
      const from = checkpoint !== undefined && (await isOf(checkpoint, collection)) ? checkpoint : undefined;
      if (from === undefined && wanted !== undefined) {
        terminal.tell(
          `nearfield: an import into ${into} was not finished, of other files or before it was changed; this one begins anew`,
        );
        await sources.return();
        sources = sourcesOf(files, 0, fields, terminal);
        next = await sources.next();
      }
      if (from !== undefined && (from.file > 0 || from.row > 0))
        terminal.tell(`nearfield: going on with ${files[from.file] ?? ""} at row ${from.row}`);
      const rejects = options.rejects ?? `${into}.rejects.jsonl`;
      const context = { collection, options, rejects, progress, terminal, prefixOf: prefixes(files) };
      importer = await Importer.begin(context, from);
      for (; next.done !== true; next = await sources.next()) await importer.takeFile(next.value);
      await progress.end();
      await terminal.out(importer.told);
    });
  } catch (error) {
    const written = importer?.written ?? 0;
    if (written > 0 && !terminal.interrupted.aborted)
      terminal.tell(`nearfield: ${written.toLocaleString("en")} records were written before, and stay`);
    // What it made, and put no record into, must not stay: its metric and precision would refuse the corrected command.
    if (isNew && opened?.version === 0) await rm(into, { recursive: true, force: true });
    if (importer !== undefined && written === 0) await progress.end();
    throw error;
  } finally {
    await sources.return();
  }
}

/**
 * Whether a collection is what a checkpoint was made of: as it was then, or with a change after it, such
 * as the group of which a kill kept the checkpoint. One that was made anew, restored, or lost its newest
 * version is not.
 */
async function isOf({ version, atMs, size }: Checkpoint, collection: Collection): Promise<boolean> {
  const known = (await collection.versions()).find((entry) => entry.version === version);
  return known?.atMs === atMs && collection.version <= version + 1 && collection.size >= size;
}

/** Rejects with NOT_FOUND before anything is done. */
async function checkPaths(files: readonly string[], rejects: string | undefined): Promise<void> {
  for (const file of files) {
    await stat(file).catch((cause: unknown) => {
      throw fileFailure(file, "read", cause);
    });
  }
  if (rejects === undefined) return;
  await stat(dirname(rejects)).catch((cause: unknown) => {
    throw fileFailure(rejects, "written", cause);
  });
}

/** How the collection is opened, or made. `source` is the first file; where that has no row, a later one tells the width. */
async function settingsOf(
  { metric, precision, model }: ImportOptions,
  files: readonly string[],
  source: VectorSource | undefined,
  isNew: boolean,
  fields: FieldNames,
): Promise<CollectionOptions> {
  let dimensions = source?.dimensions ?? 0;
  for (let next = 1; isNew && dimensions === 0; next++) {
    const file = files[next];
    if (file === undefined) throw noRow(files.join(", "));
    dimensions = await widthOf(file, fields);
  }
  return {
    create: true,
    backend: "cpu",
    ...(dimensions === 0 ? {} : { dimensions }),
    ...(metric === undefined ? {} : { metric }),
    ...(precision === undefined ? {} : { precision }),
    ...(model === undefined ? {} : { model }),
  };
}

async function widthOf(file: string, fields: FieldNames): Promise<number> {
  const source = await openVectors(file, { fields, mayBeEmpty: true });
  await source.close();
  return source.dimensions;
}

/** Of one file, numbers are names; of several, the file's name comes before, or its path where names are not different. */
function prefixes(files: readonly string[]): (path: string) => string {
  if (files.length === 1) return () => "";
  const isDistinct = new Set(files.map((file) => basename(file))).size === files.length;
  return (path) => `${isDistinct ? basename(path) : path}:`;
}

/** The files from number `first` on, each open until the next is asked for. */
async function* sourcesOf(
  files: readonly string[],
  first: number,
  fields: FieldNames,
  terminal: Terminal,
): AsyncGenerator<NumberedSource, void, void> {
  for (let file = first; file < files.length; file++) {
    const source = await openVectors(files[file] ?? "", { fields, takesCompanion: true, mayBeEmpty: true });
    try {
      if (source.companion !== undefined) terminal.tell(`nearfield: ids and metadata come from ${source.companion}`);
      yield { file, source };
    } finally {
      await source.close();
    }
  }
}

async function factsOf(files: readonly string[], { into, idField, vectorField }: ImportOptions): Promise<string> {
  const told = await Promise.all(
    files.map(async (file) => [resolve(file), await stateOf(file), await stateOf(companionName(file))]),
  );
  return JSON.stringify([told, resolve(into), idField, vectorField]);
}

/** Size and time of what may be there. */
async function stateOf(path: string | undefined): Promise<readonly [size: number, mtimeMs: number] | undefined> {
  const found = path === undefined ? undefined : await stat(path).catch(() => undefined);
  return found === undefined ? undefined : [found.size, found.mtimeMs];
}
