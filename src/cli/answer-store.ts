/**
 * Answers on the way to their file: a folder with the row numbers, the distances, and how many
 * queries of them are durable. What lies behind that number is cut off when the work goes on, so a
 * kill at any instant costs the time since the last checkpoint and changes nothing.
 */
import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileFailure } from "../io/file-failure.ts";
import { syncPath } from "../io/file-output.ts";
import type { Answers } from "./score-base.ts";

export class AnswerStore {
  readonly #folder: string;
  readonly #facts: string;
  readonly #k: number;
  readonly #rows: FileHandle;
  readonly #distances: FileHandle;
  /** Why answers of an earlier run were thrown away, if there were any. */
  readonly discarded: string | undefined;
  #done: number;

  private constructor(
    folder: string,
    facts: string,
    k: number,
    rows: FileHandle,
    distances: FileHandle,
    { done, discarded }: Earlier,
  ) {
    this.#folder = folder;
    this.#facts = facts;
    this.#k = k;
    this.#rows = rows;
    this.#distances = distances;
    this.#done = done;
    this.discarded = discarded;
  }

  /** `facts`: what is scored, and how; answers of other facts are thrown away. */
  static async open(folder: string, facts: string, k: number): Promise<AnswerStore> {
    const earlier = await earlierIn(folder, facts);
    const { done } = earlier;
    const opened: FileHandle[] = [];
    const openPart = async (name: string): Promise<FileHandle> => {
      const handle = await openAt(join(folder, name));
      opened.push(handle);
      await handle.truncate(done * k * 4);
      return handle;
    };
    try {
      if (done === 0) await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      const [rows, distances] = [await openPart("rows.u32"), await openPart("distances.f32")];
      return new AnswerStore(folder, facts, k, rows, distances, earlier);
    } catch (cause) {
      for (const handle of opened) await handle.close();
      throw fileFailure(folder, "written", cause);
    }
  }

  /** Queries whose answers are here. */
  get done(): number {
    return this.#done;
  }

  async append({ rows, distances }: Answers): Promise<void> {
    const at = this.#done * this.#k * 4;
    try {
      await writeAt(this.#rows, rows, at);
      await writeAt(this.#distances, distances, at);
    } catch (cause) {
      throw fileFailure(this.#folder, "written", cause);
    }
    this.#done += rows.length / this.#k;
  }

  /** Makes what is here last. */
  async checkpoint(): Promise<void> {
    await Promise.all([this.#rows.sync(), this.#distances.sync()]);
    const path = join(this.#folder, "checkpoint.json");
    await writeFile(`${path}.partial`, JSON.stringify({ facts: this.#facts, done: this.#done }), { flush: true });
    await rename(`${path}.partial`, path);
    await syncPath(this.#folder);
  }

  /** Answers of the queries `first … first + count − 1`, all of which are here. */
  async read(first: number, count: number): Promise<Answers> {
    const rows = new Uint32Array(count * this.#k);
    const distances = new Float32Array(count * this.#k);
    await readAt(this.#rows, rows, first * this.#k * 4);
    await readAt(this.#distances, distances, first * this.#k * 4);
    return { rows, distances };
  }

  async close(): Promise<void> {
    await Promise.all([this.#rows.close(), this.#distances.close()]);
  }

  /** After `close`, once the answers are elsewhere. */
  remove(): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true });
  }
}

interface Earlier {
  /** Queries whose answers are durable. */
  readonly done: number;
  readonly discarded: string | undefined;
}

async function earlierIn(folder: string, facts: string): Promise<Earlier> {
  if ((await stat(folder).catch(() => undefined)) === undefined) return { done: 0, discarded: undefined };
  try {
    const found = JSON.parse(await readFile(join(folder, "checkpoint.json"), "utf8")) as {
      facts: string;
      done: number;
    };
    if (found.facts === facts) return { done: found.done, discarded: undefined };
    return { done: 0, discarded: `${found.done} answers there are of other files or other options` };
  } catch {
    return { done: 0, discarded: "no answer there was durable yet" };
  }
}

/** For reading and writing, made where it is not there. */
async function openAt(path: string): Promise<FileHandle> {
  await (await open(path, "a")).close();
  return open(path, "r+");
}

async function writeAt(handle: FileHandle, words: Uint32Array | Float32Array, offset: number): Promise<void> {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
  }
}

async function readAt(handle: FileHandle, words: Uint32Array | Float32Array, offset: number): Promise<void> {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0) throw new Error("answers end before their number");
    done += bytesRead;
  }
}
