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
import { Journey } from "./import-journey.ts";
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
  const rejects = options.rejects ?? `${into}.rejects.jsonl`;
  await checkPaths(files, options.rejects);
  const progress = new Journey(`${into}.import.json`, await factsOf(files, options));
  const { from, isOther } = await progress.load();
  const isResumed = from.file > 0 || from.row > 0;
  if (isOther)
    terminal.tell(
      `nearfield: an import into ${into} of other files, or with other options, was not finished; this one begins anew`,
    );
  if (isResumed) terminal.tell(`nearfield: going on with ${files[from.file] ?? ""} at row ${from.row}`);
  else await rm(rejects, { force: true });
  const sources = sourcesOf(files, from.file, { id: options.idField, vector: options.vectorField }, terminal);
  const isNew = (await stateOf(into)) === undefined;
  let opened: Collection | undefined;
  let importer: Importer | undefined;
  try {
    const first = await sources.next();
    const settings = settingsOf(options, first.value?.source, isNew);
    await withCollection(into, settings, terminal, async (collection) => {
      opened = collection;
      importer = new Importer(collection, { options, rejects, progress, terminal, prefixOf: prefixes(files) }, from);
      for (let next = first; next.done !== true; next = await sources.next()) await importer.takeFile(next.value);
      await progress.end();
      await terminal.out(importer.told);
    });
  } catch (error) {
    // What it made, and put no record into, must not stay: its metric and precision would refuse the corrected command.
    if (isNew && opened?.version === 0) await rm(into, { recursive: true, force: true });
    const written = importer?.written ?? 0;
    if (written > 0 && !terminal.interrupted.aborted)
      terminal.tell(
        `nearfield: ${written.toLocaleString("en")} records were written before, and stay; the same command goes on from there`,
      );
    throw error;
  } finally {
    await sources.return();
  }
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

/** How the collection is opened, or made: `source` is the first file. */
function settingsOf(
  { metric, precision, model }: ImportOptions,
  source: VectorSource | undefined,
  isNew: boolean,
): CollectionOptions {
  const dimensions = source?.dimensions ?? 0;
  if (dimensions === 0 && isNew) throw noRow(source?.path ?? "");
  return {
    create: true,
    backend: "cpu",
    ...(dimensions === 0 ? {} : { dimensions }),
    ...(metric === undefined ? {} : { metric }),
    ...(precision === undefined ? {} : { precision }),
    ...(model === undefined ? {} : { model }),
  };
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

async function factsOf(
  files: readonly string[],
  { into, idField, vectorField, onInvalid }: ImportOptions,
): Promise<string> {
  const told = await Promise.all(
    files.map(async (file) => [resolve(file), await stateOf(file), await stateOf(companionName(file))]),
  );
  return JSON.stringify([told, resolve(into), idField, vectorField, onInvalid]);
}

/** Size and time of what may be there. */
async function stateOf(path: string | undefined): Promise<readonly [size: number, mtimeMs: number] | undefined> {
  const found = path === undefined ? undefined : await stat(path).catch(() => undefined);
  return found === undefined ? undefined : [found.size, found.mtimeMs];
}
