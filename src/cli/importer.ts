/** Takes files of vectors into a collection, group after group; what cannot be stored is refused, or left out and told of. */
import { appendFile, rm, stat, truncate } from "node:fs/promises";
import { basename } from "node:path";
import type { Collection, ModelFingerprint, VectorRecord } from "../collection/contract.ts";
import type { Metadata } from "../collection/metadata.ts";
import { describe, NearfieldError } from "../core/errors.ts";
import type { Metric, Precision } from "../core/metric.ts";
import { fileFailure } from "../io/file-failure.ts";
import type { VectorBatch, VectorSource } from "../io/vector-source.ts";
import { CommandFailure } from "./failure.ts";
import type { Checkpoint, ImportProgress } from "./import-progress.ts";
import { ProgressBar } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

export interface ImportOptions {
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

export interface NumberedSource {
  /** Among the files of the command. */
  readonly file: number;
  readonly source: VectorSource;
}

export interface ImportContext {
  readonly collection: Collection;
  readonly options: ImportOptions;
  /** The file of what is left out. */
  readonly rejects: string;
  readonly progress: ImportProgress;
  readonly terminal: Terminal;
  /** What comes before the number of a row without an id; numbers of rows name records of one file only. */
  readonly prefixOf: (path: string) => string;
}

interface Rejected {
  readonly file: string;
  readonly row: number;
  readonly id?: string;
  readonly reason: string;
}

type State = Omit<Checkpoint, "facts">;

/** Takes one file after the other into a collection. */
export class Importer {
  readonly #context: ImportContext;
  #state: State;

  private constructor(context: ImportContext, state: State) {
    this.#context = context;
    this.#state = state;
  }

  /** From a checkpoint on, or from the beginning. What it begins with is kept before the first record is written. */
  static async begin(context: ImportContext, from: Checkpoint | undefined): Promise<Importer> {
    const { collection, rejects, progress } = context;
    const nothing = { file: 0, row: 0, written: 0, rejected: 0, sizeBefore: collection.size, rejectsBytes: 0 };
    const state = from ?? { ...nothing, ...(await newestOf(collection)) };
    await cutRejects(rejects, state.rejectsBytes);
    await progress.save(state);
    return new Importer(context, state);
  }

  /** Records that are durable. */
  get written(): number {
    return this.#state.written;
  }

  /** What was done, for people or machines. */
  get told(): string {
    const { collection, rejects, options } = this.#context;
    const { size: records, version } = collection;
    const { written, rejected, sizeBefore } = this.#state;
    const replaced = written - (records - sizeBefore);
    if (options.json === true)
      return `${JSON.stringify({ collection: options.into, records, version, written, replaced, rejected })}\n`;
    const number = (value: number): string => value.toLocaleString("en");
    return [
      `${number(written)} records written${replaced > 0 ? `, ${number(replaced)} of them in place of others with the same id` : ""}`,
      `, ${number(rejected)} rejected${rejected > 0 ? ` (${rejects})` : ""}`,
      `; ${options.into} holds ${number(records)}, version ${version}\n`,
    ].join("");
  }

  async takeFile({ file, source }: NumberedSource): Promise<void> {
    const { options, terminal, collection } = this.#context;
    const first = file === this.#state.file ? this.#state.row : 0;
    this.#state = { ...this.#state, file, row: first };
    const bar = new ProgressBar(terminal, basename(source.path), "records", source.rowCount, first);
    try {
      checkWidth(source, collection);
      for await (const batch of source.batches({ from: first, size: options.group })) {
        if (terminal.interrupted.aborted) {
          throw new CommandFailure(
            `interrupted at row ${this.#state.row} of ${source.path}; what came before is durable, and the same command goes on from there`,
          );
        }
        await this.#takeBatch(source.path, batch);
        bar.show(this.#state.row);
      }
    } finally {
      bar.stop();
    }
  }

  /** Writes a batch as one version, tells of what was left out, and keeps how far that is. */
  async #takeBatch(file: string, batch: VectorBatch): Promise<void> {
    const { collection, rejects, progress } = this.#context;
    const rejected = await this.#write(file, batch);
    const told = rejected.map((line) => `${JSON.stringify(line)}\n`).join("");
    if (told !== "") await tellRejects(rejects, told);
    const { written, rejected: before, rejectsBytes } = this.#state;
    this.#state = {
      ...this.#state,
      row: batch.first + batch.count,
      written: written + batch.count - rejected.length,
      rejected: before + rejected.length,
      ...(await newestOf(collection)),
      rejectsBytes: rejectsBytes + Buffer.byteLength(told),
    };
    await progress.save(this.#state);
  }

  /** Returns what was left out, in the order of the file. */
  async #write(file: string, batch: VectorBatch): Promise<Rejected[]> {
    const { collection, options, prefixOf } = this.#context;
    const { onInvalid, model } = options;
    const [bad] = batch.rejected;
    if (bad !== undefined && onInvalid === "reject") throw badRow(file, bad);
    const rejected: Rejected[] = batch.rejected.map((found) => ({ file, ...found }));
    const rowAt = (position: number): number => batch.rows[position] ?? 0;
    try {
      await collection.upsert(recordsOf(collection.dimensions, batch, prefixOf(file)), {
        onInvalid,
        ...(model === undefined ? {} : { model }),
        onReject: ({ position, id, reason }) => rejected.push({ file, row: rowAt(position), id, reason }),
      });
    } catch (error) {
      const refused = refusalIn(error);
      throw refused === undefined ? error : badRow(file, { ...refused, row: rowAt(refused.position) }, error);
    }
    return rejected.sort((a, b) => a.row - b.row);
  }
}

/** What a checkpoint tells of a collection. */
async function newestOf(collection: Collection): Promise<Pick<Checkpoint, "version" | "atMs" | "size">> {
  const { version, size } = collection;
  return { version, size, atMs: (await collection.versions()).at(-1)?.atMs ?? 0 };
}

/** What a kill left behind the last group that counts goes. Of what is not there, or shorter, nothing does. */
async function cutRejects(path: string, bytes: number): Promise<void> {
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  try {
    if (bytes === 0) await rm(path, { force: true });
    else if (size > bytes) await truncate(path, bytes);
  } catch (cause) {
    throw fileFailure(path, "written", cause);
  }
}

async function tellRejects(path: string, lines: string): Promise<void> {
  try {
    await appendFile(path, lines);
  } catch (cause) {
    throw fileFailure(path, "written", cause);
  }
}

/** The record that an upsert refused, if that is what went wrong. */
function refusalIn(
  error: unknown,
): { readonly position: number; readonly id: unknown; readonly reason: string } | undefined {
  const details: unknown = error instanceof NearfieldError ? error.details : undefined;
  if (typeof details !== "object" || details === null) return undefined;
  const { position, id, reason }: { position?: unknown; id?: unknown; reason?: unknown } = details;
  return typeof position === "number" && typeof reason === "string" ? { position, id, reason } : undefined;
}

function badRow(
  file: string,
  { row, id, reason }: { readonly row: number; readonly id?: unknown; readonly reason: string },
  cause?: unknown,
): NearfieldError {
  return new NearfieldError("INVALID_VECTOR", {
    got: `row ${row} of ${file}, counted from 0${id === undefined ? "" : ` (${describe(id)})`}: ${reason}`,
    expected: "a record with a vector in every row",
    remedy: "repair it, or give --on-invalid skip; this group of records was not written",
    details: { row, reason },
    ...(cause === undefined ? {} : { cause }),
  });
}

function checkWidth({ path, dimensions }: VectorSource, collection: Collection): void {
  if (dimensions === collection.dimensions || dimensions === 0) return; // of no row nothing is wrong
  throw new NearfieldError("INVALID_DIMENSIONS", {
    got: `${path} with vectors of ${dimensions} elements`,
    expected: `${collection.dimensions}, as ${collection.location} has`,
    remedy: "give files of one width, or import into another collection",
  });
}

function* recordsOf(
  dimensions: number,
  { rows, vectors, ids, metadata }: VectorBatch,
  prefix: string,
): Generator<VectorRecord, void, void> {
  for (const [i, row] of rows.entries()) {
    const fields = metadata?.[i];
    yield {
      id: ids?.[i] ?? `${prefix}${row}`,
      vector: vectors.subarray(i * dimensions, (i + 1) * dimensions),
      ...(fields === undefined ? {} : { metadata: { ...fields } as Metadata }),
    };
  }
}
