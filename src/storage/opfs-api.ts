/** What a page asks of the worker that handles its files in the origin private file system. Types and names only. */

/** Tells the worker script which kind of worker it is to be. */
export const OPFS_WORKER_NAME = "nearfield-opfs";

export interface OpenedFile {
  /** Names the open file in later calls. */
  readonly handle: number;
  /** Bytes. */
  readonly size: number;
}

/**
 * One folder of the origin private file system. Rejects with the platform's own errors, of which a
 * page sees `name` and `message`.
 */
export interface OpfsApi {
  /** Opens the folder. NotFoundError. */
  openFolder(name: string, create: boolean): Promise<void>;
  /** Takes the lock until `unlock` or the worker's end; resolves with what is known of the holder where there is one. */
  lock(): Promise<string | undefined>;
  unlock(): Promise<void>;
  isLocked(): Promise<boolean>;
  list(): Promise<string[]>;
  openFile(name: string, mode: "read" | "create" | "modify"): Promise<OpenedFile>;
  /** As many bytes as there are, at most `length`; transferred. */
  read(handle: number, offset: number, length: number): Promise<Uint8Array>;
  /** `bytes` are transferred. */
  write(handle: number, offset: number, bytes: Uint8Array): Promise<void>;
  truncate(handle: number, size: number): Promise<void>;
  sync(handle: number): Promise<void>;
  closeFile(handle: number): Promise<void>;
  remove(name: string): Promise<void>;
}
