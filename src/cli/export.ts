/** `nearfield export`: the records of a collection as a file that other tools read. The file appears whole or not at all. */
import { Command } from "commander";
import type { Collection, VectorRecord } from "../collection/contract.ts";
import type { Filter } from "../collection/filter.ts";
import { companionName } from "../io/companion.ts";
import { checkIsFree } from "../io/file-output.ts";
import { MetadataColumns } from "../io/metadata-columns.ts";
import { openSink, type SinkRows } from "../io/vector-sink.ts";
import { filterJson } from "./arguments.ts";
import { CommandFailure } from "./failure.ts";
import { ProgressBar } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { withCollection } from "./with-collection.ts";

interface ExportOptions {
  readonly to: string;
  readonly filter?: Filter;
  readonly force?: boolean;
  readonly idField?: string;
  readonly vectorField?: string;
  readonly json?: boolean;
}

export function exportCommand(terminal: Terminal): Command {
  return new Command("export")
    .description("write a collection's records to a file, in the format of its extension")
    .argument("<collection>", "its folder")
    .requiredOption(
      "--to <file>",
      ".jsonl, .csv, .parquet and .arrow hold everything; .npy, .fvecs, .fbin, .safetensors, and of whole numbers .bvecs, .u8bin, .i8bin, hold vectors, with ids and metadata in <file>.ids.jsonl",
    )
    .option("--filter <json>", "only records that match", filterJson)
    .option("--id-field <name>", 'field of the ids (default "id")')
    .option("--vector-field <name>", 'field of the vectors (default "vector")')
    .option("--force", "replace a file that is there")
    .option("--json", "print JSON")
    .action((location: string, options: ExportOptions) =>
      withCollection(location, { readOnly: true, backend: "cpu" }, terminal, (collection) =>
        runExport(collection, options, terminal),
      ),
    );
}

async function runExport(collection: Collection, options: ExportOptions, terminal: Terminal): Promise<void> {
  const { to, filter, idField, vectorField } = options;
  const scan = filter === undefined ? {} : { filter };
  const companion = companionName(to);
  if (options.force !== true) {
    for (const path of companion === undefined ? [to] : [to, companion])
      await checkIsFree(path, "remove it, give another name, or replace it with --force");
  }
  const columns = new MetadataColumns();
  for await (const records of collection.scan(scan)) {
    for (const { metadata } of records) if (metadata !== undefined) columns.note(metadata);
  }
  const { dimensions } = collection;
  const sink = await openSink(to, { dimensions, columns, idField, vectorField });
  const bar = new ProgressBar(terminal, "exporting", "records", await collection.count(filter));
  let written = 0;
  try {
    for await (const records of collection.scan(scan)) {
      if (terminal.interrupted.aborted) throw new CommandFailure("interrupted; nothing was written");
      await sink.append(rowsOf(records, dimensions));
      bar.show((written += records.length));
    }
    await sink.finish();
  } catch (error) {
    await sink.abort();
    throw error;
  } finally {
    bar.stop();
  }
  const report = {
    file: to,
    records: written,
    version: collection.version,
    ...(companion === undefined ? {} : { ids: companion }),
  };
  const text = `${written.toLocaleString("en")} records of version ${collection.version} → ${to}${companion === undefined ? "" : `, ids and metadata → ${companion}`}\n`;
  await terminal.out(options.json === true ? `${JSON.stringify(report)}\n` : text);
}

function rowsOf(records: readonly VectorRecord[], dimensions: number): SinkRows {
  const vectors = new Float32Array(records.length * dimensions);
  for (const [row, { vector }] of records.entries()) {
    if (vector instanceof Uint8Array) {
      // Packed bits become zeros and ones, which are the same bits where they are read again.
      for (let d = 0; d < dimensions; d++) vectors[row * dimensions + d] = ((vector[d >> 3] ?? 0) >> (d & 7)) & 1;
    } else vectors.set(vector, row * dimensions);
  }
  return {
    count: records.length,
    vectors,
    ids: records.map(({ id }) => id),
    metadata: records.map(({ metadata }) => metadata),
  };
}
