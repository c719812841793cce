/**
 * Answers on their way: a folder beside the output with the rows and distances found so far as
 * plain numbers, [queries × k], and a checkpoint that says how many of them are durable. A run
 * that was killed goes on from there, and ends with the same bytes as one that was not.
 */
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { NearfieldError } from "../../core/errors.ts";

/** What a run is made of: one that differs in any of it is another run. */
export type RunFacts = Readonly<Record<string, string | number | boolean | null>>;

interface Checkpoint {
  readonly format: 1;
  readonly facts: RunFacts;
  readonly queries: number;
}

const ROWS = "rows.u32";
const DISTANCES = "distances.f32";
const CHECKPOINT = "checkpoint.json";

export class PartialAnswers {
  readonly folder: string;
  readonly k: number;
  readonly #facts: RunFacts;
  readonly #rows: FileHandle;
  readonly #distances: FileHandle;
  #queries: number;
  #durable: number;

  private constructor(
    folder: string,
    k: number,
    facts: RunFacts,
    files: readonly [FileHandle, FileHandle],
    queries: number,
  ) {
    this.folder = folder;
    this.k = k;
    this.#facts = facts;
    [this.#rows, this.#distances] = files;
    this.#queries = queries;
    this.#durable = queries;
  }

  /** Goes on with what the folder holds, or begins. Rejects with INVALID_OPTION where it holds another run's answers. */
  static async open(folder: string, k: number, facts: RunFacts): Promise<PartialAnswers> {
    await mkdir(folder, { recursive: true });
    const before = await readCheckpoint(folder);
    if (before !== undefined) requireSame(folder, before.facts, facts);
    const queries = before?.queries ?? 0;
    const files = await Promise.all([ROWS, DISTANCES].map((name) => openNumbers(join(folder, name), queries * k * 4)));
    const [rows, distances] = files;
    if (rows === undefined || distances === undefined) throw new Error("two files were opened");
    return new PartialAnswers(folder, k, facts, [rows, distances], queries);
  }

  /** Queries answered so far: reading goes on behind them. */
  get queries(): number {
    return this.#queries;
  }

  /** [queries × k] each. */
  async append(rows: Uint32Array, distances: Float32Array): Promise<void> {
    const at = this.#queries * this.k * 4;
    await Promise.all([writeAll(this.#rows, rows, at), writeAll(this.#distances, distances, at)]);
    this.#queries += rows.length / this.k;
  }

  /** Makes what was appended durable, and says so. */
  async checkpoint(): Promise<void> {
    if (this.#durable === this.#queries) return;
    await Promise.all([this.#rows.datasync(), this.#distances.datasync()]);
    const next: Checkpoint = { format: 1, facts: this.#facts, queries: this.#queries };
    const path = join(this.folder, CHECKPOINT);
    const file = await open(`${path}.next`, "w");
    try {
      await file.writeFile(JSON.stringify(next));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.next`, path);
    this.#durable = this.#queries;
  }

  /** Answers of queries `first … first + count − 1`, at most a few thousand at a time. */
  async read(first: number, count: number): Promise<{ rows: Uint32Array; distances: Float32Array }> {
    const rows = new Uint32Array(count * this.k);
    const distances = new Float32Array(count * this.k);
    const at = first * this.k * 4;
    await Promise.all([readAll(this.#rows, rows, at), readAll(this.#distances, distances, at)]);
    return { rows, distances };
  }

  async close(): Promise<void> {
    await Promise.all([this.#rows.close(), this.#distances.close()]);
  }

  /** The output is there: nothing of this is needed any more. */
  async remove(): Promise<void> {
    await this.close();
    await rm(this.folder, { recursive: true });
  }
}

async function readCheckpoint(folder: string): Promise<Checkpoint | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, CHECKPOINT), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  const value: unknown = JSON.parse(text);
  if (typeof value === "object" && value !== null && "format" in value && value.format === 1)
    return value as Checkpoint;
  throw new NearfieldError("UNSUPPORTED_FORMAT", {
    got: `${join(folder, CHECKPOINT)}, which is no checkpoint of this version`,
    expected: "what an earlier run of the same command left",
    remedy: "remove the folder to begin anew",
  });
}

function requireSame(folder: string, before: RunFacts, now: RunFacts): void {
  const changed = [...new Set([...Object.keys(before), ...Object.keys(now)])].filter((key) => before[key] !== now[key]);
  if (changed.length === 0) return;
  throw new NearfieldError("INVALID_OPTION", {
    got: `answers of another run in ${folder}: ${changed.map((key) => `${key} was ${before[key]} and is ${now[key]}`).join("; ")}`,
    expected: "the command that began it, on unchanged files",
    remedy: "run that command again to go on, or add --fresh to begin anew",
  });
}

/** Cuts off what was written behind the checkpoint. */
async function openNumbers(path: string, bytes: number): Promise<FileHandle> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT);
  try {
    const { size } = await file.stat();
    if (size < bytes) {
      throw new NearfieldError("CORRUPT", {
        got: `${path} with ${size} bytes, where its checkpoint counts ${bytes}`,
        expected: "what an earlier run left",
        remedy: "add --fresh to begin anew",
      });
    }
    await file.truncate(bytes);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function writeAll(file: FileHandle, values: Uint32Array | Float32Array, at: number): Promise<void> {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
  }
}

async function readAll(file: FileHandle, into: Uint32Array | Float32Array, at: number): Promise<void> {
  const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, at + done);
    if (bytesRead === 0) throw new Error("answers are shorter than they were written");
    done += bytesRead;
  }
}
