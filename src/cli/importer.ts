/** Takes files of vectors into a collection, group after group; what cannot be stored is refused, or left out and told of. */
import { appendFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Collection, ModelFingerprint, VectorRecord } from "../collection/contract.ts";
import type { Metadata } from "../collection/metadata.ts";
import { describe, NearfieldError } from "../core/errors.ts";
import type { Metric, Precision } from "../core/metric.ts";
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
  readonly isOneOfMany: boolean;
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

  constructor(collection: Collection, around: Surroundings, from: Checkpoint) {
    this.#collection = collection;
    this.#around = around;
    this.#state = from;
  }

  /** What was done, for people or machines. */
  get told(): string {
    const { rejects, options } = this.#around;
    const { size: records, version } = this.#collection;
    const { written, rejected } = this.#state;
    if (options.json === true)
      return `${JSON.stringify({ collection: options.into, records, version, written, rejected })}\n`;
    const numbers = [written, rejected, records].map((number) => number.toLocaleString("en"));
    return `${numbers[0]} records written, ${numbers[1]} rejected${rejected > 0 ? ` (${rejects})` : ""}; ${options.into} holds ${numbers[2]}, version ${version}\n`;
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
        const rejected = await this.#takeBatch(source.path, batch);
        if (rejected.length > 0)
          await appendFile(rejects, rejected.map((line) => `${JSON.stringify(line)}\n`).join(""));
        this.#state = {
          ...this.#state,
          row: batch.first + batch.count,
          written: this.#state.written + batch.count - rejected.length,
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
      await this.#collection.upsert(recordsOf(this.#collection.dimensions, file, batch, this.#around.isOneOfMany), {
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
  if (dimensions === collection.dimensions) return;
  throw new NearfieldError("INVALID_DIMENSIONS", {
    got: `${path} with vectors of ${dimensions} elements`,
    expected: `${collection.dimensions}, as ${collection.location} has`,
    remedy: "give files of one width, or import into another collection",
  });
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
