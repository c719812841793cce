/**
 * Where a collection's bytes lie: the seam between the format (pure) and a platform's files. One
 * driver is one flat folder of files with plain names; a folder of the file system in Node, of OPFS
 * in browsers, or memory. Drivers know nothing of what they store. They report what the platform
 * says as NearfieldError: NOT_FOUND, LOCKED, QUOTA_EXCEEDED (disk full, quota), READ_ONLY.
 *
 * What durability rests on: bytes written are lost or torn by a crash in any way until `sync` of
 * their file has resolved; a file's name appears or vanishes for sure only when `syncFolder` has.
 * Nothing here renames: commits are made by appending to a journal and by writing one of two
 * alternating root slots, which works the same on every platform.
 */

export interface StorageDriver {
  /** As the caller of openCollection named it. */
  readonly location: string;
  readonly isReadOnly: boolean;
  /** Takes the place of the only writer, until the result is called or the process ends. Rejects with LOCKED, naming the holder. */
  lock(): Promise<() => Promise<void>>;
  /** Whether somebody is the writer now: what is read may be half-written then. */
  isLocked(): Promise<boolean>;
  /** Names of the files there are, in no order. */
  list(): Promise<readonly string[]>;
  /** Rejects with NOT_FOUND. */
  openToRead(name: string): Promise<ReadableFile>;
  /** `create`: makes an empty file, in place of one that is there; `modify`: rejects with NOT_FOUND. */
  openToWrite(name: string, mode: "create" | "modify"): Promise<WritableFile>;
  /** No error when there is none. Who has it open keeps reading it; in OPFS only who has it open through this driver. */
  remove(name: string): Promise<void>;
  /** Makes names created and removed so far durable, where the platform can. */
  syncFolder(): Promise<void>;
  /** Lets go of everything but what `lock` holds. Idempotent. */
  close(): Promise<void>;
}

export interface ReadableFile {
  /** Bytes, when opened. */
  readonly size: number;
  /** Fills `into`, whose memory may be shared, from `offset` on. Rejects with CORRUPT where the file ends before. */
  read(offset: number, into: Uint8Array): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
}

export interface WritableFile extends ReadableFile {
  /** Bytes now. */
  readonly size: number;
  /** Writes all of `bytes`, which the caller leaves alone until it resolves. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  truncate(size: number): Promise<void>;
  /** Resolves when everything written so far survives the loss of the process and, as far as the platform goes, of power. */
  sync(): Promise<void>;
}
