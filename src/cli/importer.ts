/** Takes files of vectors into a collection, group after group; what cannot be stored is refused, or left out and told of. */
import { appendFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Collection, ModelFingerprint, VectorRecord } from "../collection/contract.ts";
import type { Metadata } from "../collection/metadata.ts";
import { describe, NearfieldError } from "../core/errors.ts";
import type { Metric, Precision } from "../core/metric.ts";
import { fileFailure } from "../io/file-failure.ts";
import type { VectorBatch, VectorSource } from "../io/vector-source.ts";
import { CommandFailure } from "./failure.ts";
import type { Checkpoint, Journey } from "./import-journey.ts";
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

interface Surroundings {
  readonly options: ImportOptions;
  /** The file of what is left out. */
  readonly rejects: string;
  readonly progress: Journey;
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

/** Takes one file after the other into a collection. */
export class Importer {
  readonly #collection: Collection;
  readonly #around: Surroundings;
  #state: Checkpoint;
  #isResumed: boolean;

  constructor(collection: Collection, around: Surroundings, from: Checkpoint) {
    this.#collection = collection;
    this.#around = around;
    this.#state = from;
    this.#isResumed = from.file > 0 || from.row > 0;
  }

  /** Records that are durable. */
  get written(): number {
    return this.#state.written;
  }

  /** What was done, for people or machines. */
  get told(): string {
    const { rejects, options } = this.#around;
    const { size: records, version } = this.#collection;
    const { written, replaced, rejected } = this.#state;
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
    const { options, progress, terminal, rejects } = this.#around;
    const first = file === this.#state.file ? this.#state.row : 0;
    this.#state = { ...this.#state, file, row: first };
    const bar = new ProgressBar(terminal, basename(source.path), "records", source.rowCount, first);
    try {
      checkWidth(source, this.#collection);
      for await (const batch of source.batches({ from: first, size: options.group })) {
        if (terminal.interrupted.aborted) {
          throw new CommandFailure(
            `interrupted at row ${this.#state.row} of ${source.path}; what came before is durable, and the same command goes on from there`,
          );
        }
        const before = this.#collection.size;
        const rejected = await this.#takeBatch(source.path, batch);
        if (rejected.length > 0) await tellRejects(rejects, rejected);
        const written = batch.count - rejected.length;
        // After a kill the first group may be here already: those are not in place of others.
        const isAgain = this.#isResumed;
        this.#isResumed = false;
        this.#state = {
          ...this.#state,
          row: batch.first + batch.count,
          written: this.#state.written + written,
          replaced: this.#state.replaced + (isAgain ? 0 : written - (this.#collection.size - before)),
          rejected: this.#state.rejected + rejected.length,
        };
        await progress.save(this.#state);
        bar.show(this.#state.row);
      }
    } finally {
      bar.stop();
    }
  }

  /** Writes a batch as one version; returns what was left out, in the order of the file. */
  async #takeBatch(file: string, batch: VectorBatch): Promise<Rejected[]> {
    const { onInvalid, model } = this.#around.options;
    const [bad] = batch.rejected;
    if (bad !== undefined && onInvalid === "reject") throw badRow(file, bad);
    const rejected: Rejected[] = batch.rejected.map((found) => ({ file, ...found }));
    const rowAt = (position: number): number => batch.rows[position] ?? 0;
    try {
      await this.#collection.upsert(recordsOf(this.#collection.dimensions, batch, this.#around.prefixOf(file)), {
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

async function tellRejects(path: string, rejected: readonly Rejected[]): Promise<void> {
  try {
    await appendFile(path, rejected.map((line) => `${JSON.stringify(line)}\n`).join(""));
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
