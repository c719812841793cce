/** The segments of a collection as files that are made, and given up. Ids are handed out once, also for what comes to nothing. */
import type { StoredColumnShape } from "../core/stored-column.ts";
import type { StorageDriver, WritableFile } from "../storage/driver.ts";
import { segmentName } from "../storage/names.ts";
import type { RecordBatch } from "../storage/record-batch.ts";
import type { SegmentRef } from "../storage/segment-facts.ts";
import { SegmentWriter } from "../storage/segment-writer.ts";

export class SegmentStore {
  readonly #driver: StorageDriver;
  readonly #shape: StoredColumnShape;
  #nextId: number;

  /** `nextId`: above that of every segment there is, be it of use or not. */
  constructor(driver: StorageDriver, shape: StoredColumnShape, nextId: number) {
    this.#driver = driver;
    this.#shape = shape;
    this.#nextId = nextId;
  }

  async create(): Promise<NewSegment> {
    const id = this.#nextId++;
    const file = await this.#driver.openToWrite(segmentName(id), "create");
    try {
      return new NewSegment(this.#driver, id, file, await SegmentWriter.create(file, this.#shape));
    } catch (error) {
      await giveUp(this.#driver, id, file);
      throw error;
    }
  }
}

/** A segment that is being written. Ends with `finish` or `discard`, whichever way an `append` went. */
export class NewSegment {
  readonly id: number;
  readonly #driver: StorageDriver;
  readonly #file: WritableFile;
  readonly #writer: SegmentWriter;
  #syncing: Promise<void> | undefined;
  #failure: Error | undefined;

  constructor(driver: StorageDriver, id: number, file: WritableFile, writer: SegmentWriter) {
    this.#driver = driver;
    this.id = id;
    this.#file = file;
    this.#writer = writer;
  }

  /** Sends what is written on its way to the disk as well, so that the disk works while the next records are staged. */
  async append(batch: RecordBatch): Promise<void> {
    await this.#writer.append(batch);
    this.#syncing ??= this.#sync();
  }

  /** A failure is told by `finish`. */
  async #sync(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error("a file could not be synced", { cause: error });
    }
    this.#syncing = undefined;
  }

  /** The file and its name are durable when it resolves. */
  async finish(): Promise<SegmentRef> {
    await this.#syncing;
    if (this.#failure !== undefined) throw this.#failure;
    const facts = await this.#writer.finish();
    await this.#file.close();
    await this.#driver.syncFolder();
    return { id: this.id, facts };
  }

  /** Leaves no file behind, also after `finish`. Never rejects: what stays all the same is nobody's, and goes with the next compaction. */
  async discard(): Promise<void> {
    await this.#syncing;
    await giveUp(this.#driver, this.id, this.#file);
  }
}

async function giveUp(driver: StorageDriver, id: number, file: WritableFile): Promise<void> {
  try {
    await file.close();
    await driver.remove(segmentName(id));
  } catch {
    // The caller has a failure to tell already.
  }
}
