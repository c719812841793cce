/**
 * A disk in memory that can crash and fail, for tests of what survives. It keeps apart what the
 * platform promises to keep (bytes synced by `sync`, names synced by `syncFolder`) from what it may
 * keep or lose. Deterministic: the same seed and the same calls leave the same bytes.
 *
 *     const disk = new FaultyDisk(seed);
 *     await script(disk.driver({ crashAt: n, survives: "torn" })).catch(ignoreCrash);
 *     const state = await recover(disk.afterCrash());
 *
 * A crash strikes during change n (create, write, truncate, sync, remove, syncFolder: 1, 2, …),
 * which may itself survive in part. From then on every call of every driver made before rejects
 * with SimulatedCrash, so that nothing goes on as a process would not.
 */
import { uniform } from "../../src/core/random.ts";
import type { ReadableFile, StorageDriver, WritableFile } from "../../src/storage/driver.ts";
import {
  checkFileName,
  closedStorage,
  type FileAction,
  fileNotFound,
  fileTooShort,
  lockedStorage,
  readOnlyStorage,
} from "../../src/storage/storage-errors.ts";

/** What remains of changes that were not synced: nothing, everything, or of each file and each name something else. */
export type Survival = "none" | "all" | "torn";

export interface FaultyOptions {
  readonly readOnly?: boolean;
  /** The change, counted from 1 for this driver, during which the crash strikes. */
  readonly crashAt?: number | undefined;
  /** Default "torn". */
  readonly survives?: Survival;
  /** The operation, counted from 1 for this driver, reads and openings included, that fails once, with `error`. */
  readonly failAt?: number | undefined;
  readonly error?: Error;
}

/** The process is gone: what rejects with this would never have been seen by anybody. */
export class SimulatedCrash extends Error {
  override readonly name = "SimulatedCrash";
}

/** For `.catch()`: lets a crash pass and nothing else. */
export function ignoreCrash(error: unknown): void {
  if (!(error instanceof SimulatedCrash)) throw error;
}

/** A change to a file's bytes since its last sync. */
type Change =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly size: number };

/** What a name leads to; names come and go without it. */
interface Inode {
  durable: Uint8Array;
  current: Uint8Array;
  /** In order. */
  unsynced: Change[];
}

export class FaultyDisk {
  readonly #random: () => number;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  /** What each name meant since the folder was last synced, oldest first; undefined: nothing. */
  #history = new Map<string, (Inode | undefined)[]>();
  #survives: Survival = "torn";
  #hasCrashed = false;
  /** Grows with each crash: drivers of an earlier life are dead. */
  life = 0;
  isLocked = false;

  constructor(seed: number) {
    this.#random = uniform(seed);
  }

  /** A process's view of the disk. Its counts start at 0. */
  driver(options: FaultyOptions = {}): FaultyDriver {
    this.#survives = options.survives ?? this.#survives;
    return new FaultyDriver(this, options);
  }

  /** A fresh driver over what the crash left; crashes now unless a driver did since the last call. */
  afterCrash(options: FaultyOptions = {}): FaultyDriver {
    if (!this.#hasCrashed) this.crash();
    this.#hasCrashed = false;
    return this.driver(options);
  }

  /** Power is lost now. */
  crash(survives: Survival = this.#survives): void {
    this.life++;
    this.#hasCrashed = true;
    this.isLocked = false;
    const names = new Map<string, Inode>();
    for (const name of [...new Set([...this.#durableNames.keys(), ...this.#history.keys()])].sort()) {
      const possible = [this.#durableNames.get(name), ...(this.#history.get(name) ?? [])];
      const kept = survives === "none" ? possible[0] : survives === "all" ? possible.at(-1) : this.#pick(possible);
      if (kept !== undefined) names.set(name, kept);
    }
    for (const inode of new Set(names.values())) {
      if (survives === "all") inode.durable = inode.current;
      else if (survives === "torn") inode.durable = torn(inode, this.#random);
      inode.current = inode.durable;
      inode.unsynced = [];
    }
    this.#names = names;
    this.#durableNames = new Map(names);
    this.#history.clear();
  }

  /** Flips one bit of what is stored, behind everybody's back; of a random byte unless told. */
  damage(name: string, offset?: number): void {
    const inode = this.#names.get(name);
    if (inode === undefined || inode.current.length === 0) throw new Error(`no byte of ${name} to damage`);
    const at = offset ?? Math.floor(this.#random() * inode.current.length);
    const bit = 1 << Math.floor(this.#random() * 8);
    for (const bytes of new Set([inode.current, inode.durable])) {
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ bit;
    }
  }

  /** A copy of a file's bytes as they are now. */
  bytes(name: string): Uint8Array {
    const inode = this.#names.get(name);
    if (inode === undefined) throw new Error(`no file ${name}`);
    return inode.current.slice();
  }

  get names(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  find(name: string): Inode | undefined {
    return this.#names.get(name);
  }

  rename(name: string, inode: Inode | undefined): void {
    if (inode === undefined) this.#names.delete(name);
    else this.#names.set(name, inode);
    const history = this.#history.get(name) ?? [];
    history.push(inode);
    this.#history.set(name, history);
  }

  syncNames(): void {
    this.#durableNames = new Map(this.#names);
    this.#history.clear();
  }

  /** Part of a write that failed may have been done. */
  someOf(length: number): number {
    return Math.floor(this.#random() * (length + 1));
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T; // never empty: the durable state is one of them
  }
}

/** Each unsynced change kept, lost, kept up to a byte, or there in size only, whatever came of the others: pages reach a disk in any order. */
function torn(inode: Inode, random: () => number): Uint8Array {
  let bytes: Uint8Array = inode.durable.slice();
  for (const change of inode.unsynced) {
    const fate = Math.floor(random() * 4);
    if (fate === 0) continue;
    if (change.kind === "truncate") {
      bytes = resized(bytes, change.size);
    } else if (fate === 1) {
      bytes = applied(bytes, change);
    } else if (fate === 2) {
      bytes = applied(bytes, {
        ...change,
        bytes: change.bytes.subarray(0, Math.floor(random() * change.bytes.length)),
      });
    } else {
      bytes = resized(bytes, Math.max(bytes.length, change.offset + change.bytes.length));
    }
  }
  return bytes;
}

function resized(bytes: Uint8Array, size: number): Uint8Array {
  const next = new Uint8Array(size);
  next.set(bytes.subarray(0, size));
  return next;
}

function applied(bytes: Uint8Array, change: Change): Uint8Array {
  if (change.kind === "truncate") return resized(bytes, change.size);
  if (change.bytes.length === 0) return bytes;
  const next = resized(bytes, Math.max(bytes.length, change.offset + change.bytes.length));
  next.set(change.bytes, change.offset);
  return next;
}

function apply(inode: Inode, by: Change): void {
  inode.current = applied(inode.current, by);
  inode.unsynced.push(by);
}

export class FaultyDriver implements StorageDriver {
  readonly location = "faulty:disk";
  readonly isReadOnly: boolean;
  readonly #disk: FaultyDisk;
  readonly #options: FaultyOptions;
  readonly #life: number;
  readonly #open = new Set<ReadableFile>();
  /** Changes begun so far: run a script once without a crash to learn how many crash points it has. */
  changes = 0;
  /** Operations begun so far, reads and openings included. */
  operations = 0;
  /** What they were, for messages of tests. */
  readonly log: string[] = [];
  #isClosed = false;

  constructor(disk: FaultyDisk, options: FaultyOptions) {
    this.#disk = disk;
    this.#options = options;
    this.#life = disk.life;
    this.isReadOnly = options.readOnly ?? false;
  }

  async lock(): Promise<() => Promise<void>> {
    this.#check({ location: this.location, name: "", verb: "locking" }, true);
    if (this.#disk.isLocked) throw lockedStorage(this.location, "is open for writing");
    this.#disk.isLocked = true;
    let isHeld = true;
    return async () => {
      if (isHeld && this.#life === this.#disk.life) this.#disk.isLocked = false;
      isHeld = false;
    };
  }

  async isLocked(): Promise<boolean> {
    this.#check({ location: this.location, name: "", verb: "locking" }, false);
    return this.#disk.isLocked;
  }

  async list(): Promise<readonly string[]> {
    this.#check({ location: this.location, name: "", verb: "listing" }, false);
    await this.look("list");
    return this.#disk.names;
  }

  async openToRead(name: string): Promise<ReadableFile> {
    const action = this.#checkNamed("opening", name, false);
    await this.look(`open ${name}`);
    return this.#opened(this.#find(action), action, false);
  }

  async openToWrite(name: string, mode: "create" | "modify"): Promise<WritableFile> {
    const action = this.#checkNamed("opening", name, true);
    if (mode === "modify") {
      await this.look(`open ${name} to modify`);
      return this.#opened(this.#find(action), action, true);
    }
    const inode: Inode = { durable: new Uint8Array(0), current: new Uint8Array(0), unsynced: [] };
    await this.change(`create ${name}`, { unsynced: () => this.#disk.rename(name, inode) });
    return this.#opened(inode, action, true);
  }

  async remove(name: string): Promise<void> {
    this.#checkNamed("removing", name, true);
    const forget = (): void => {
      if (this.#disk.find(name) !== undefined) this.#disk.rename(name, undefined);
    };
    await this.change(`remove ${name}`, { unsynced: forget });
  }

  async syncFolder(): Promise<void> {
    this.#check({ location: this.location, name: "", verb: "writing" }, false);
    if (this.isReadOnly) return;
    await this.change("sync folder", { synced: () => this.#disk.syncNames() });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#open].map((file) => file.close()));
  }

  /** One operation, that changes nothing. */
  async look(what: string): Promise<void> {
    await this.#begin(what);
    this.#failIfAsked(what);
  }

  /** One change. A crash during it leaves what `unsynced` does, to survive or not; a failure leaves what `partly` does. */
  async change(
    what: string,
    does: { readonly unsynced?: () => void; readonly synced?: () => void; readonly partly?: () => void },
  ): Promise<void> {
    await this.#begin(what);
    this.changes++;
    if (this.changes === this.#options.crashAt) {
      does.unsynced?.();
      this.#disk.crash(this.#options.survives);
      throw new SimulatedCrash(`crashed at change ${this.changes}: ${what}`);
    }
    this.#failIfAsked(what, does.partly);
    does.unsynced?.();
    does.synced?.();
  }

  async #begin(what: string): Promise<void> {
    await Promise.resolve(); // as a platform answers: never in the same turn
    this.#checkAlive();
    this.log.push(what);
    this.operations++;
  }

  #failIfAsked(what: string, partly?: () => void): void {
    if (this.operations !== this.#options.failAt) return;
    partly?.();
    throw this.#options.error ?? new Error(`failed at operation ${this.operations}: ${what}`);
  }

  #find(action: FileAction): Inode {
    const inode = this.#disk.find(action.name);
    if (inode === undefined) throw fileNotFound(action);
    return inode;
  }

  #opened(inode: Inode, action: FileAction, isWritable: boolean): FaultyFile {
    const file = new FaultyFile(this, this.#disk, inode, action, isWritable, () => this.#open.delete(file));
    this.#open.add(file);
    return file;
  }

  #checkAlive(): void {
    if (this.#life !== this.#disk.life) throw new SimulatedCrash("this process is gone");
  }

  #checkNamed(verb: FileAction["verb"], name: string, isChange: boolean): FileAction {
    checkFileName(name);
    const action: FileAction = { location: this.location, name, verb };
    this.#check(action, isChange);
    return action;
  }

  #check(action: FileAction, isChange: boolean): void {
    this.#checkAlive();
    if (this.#isClosed) throw closedStorage(action);
    if (isChange && this.isReadOnly) throw readOnlyStorage(action);
  }
}

class FaultyFile implements WritableFile {
  readonly #driver: FaultyDriver;
  readonly #disk: FaultyDisk;
  readonly #inode: Inode;
  readonly #action: FileAction;
  readonly #onClose: () => void;
  readonly #sizeThen: number | undefined;
  #isClosed = false;

  constructor(
    driver: FaultyDriver,
    disk: FaultyDisk,
    inode: Inode,
    action: FileAction,
    isWritable: boolean,
    onClose: () => void,
  ) {
    this.#driver = driver;
    this.#disk = disk;
    this.#inode = inode;
    this.#action = action;
    this.#sizeThen = isWritable ? undefined : inode.current.length;
    this.#onClose = onClose;
  }

  get size(): number {
    return this.#sizeThen ?? this.#inode.current.length;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const action = this.#check("reading");
    await this.#driver.look(`read ${this.#action.name} ${offset}+${into.length}`);
    const { current } = this.#inode;
    if (offset + into.length > current.length) throw fileTooShort(action, offset, into.length, current.length);
    into.set(current.subarray(offset, offset + into.length));
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#check("writing");
    const copy = bytes.slice();
    const write = (length: number): void =>
      apply(this.#inode, { kind: "write", offset, bytes: copy.subarray(0, length) });
    await this.#driver.change(`write ${this.#action.name} ${offset}+${copy.length}`, {
      unsynced: () => write(copy.length),
      partly: () => write(this.#disk.someOf(copy.length)),
    });
  }

  async truncate(size: number): Promise<void> {
    this.#check("writing");
    const what = `truncate ${this.#action.name} ${size}`;
    await this.#driver.change(what, { unsynced: () => apply(this.#inode, { kind: "truncate", size }) });
  }

  async sync(): Promise<void> {
    this.#check("writing");
    const keep = (): void => {
      this.#inode.durable = this.#inode.current.slice();
      this.#inode.unsynced = [];
    };
    await this.#driver.change(`sync ${this.#action.name}`, { synced: keep });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#onClose();
  }

  #check(verb: FileAction["verb"]): FileAction {
    const action = { ...this.#action, verb };
    if (this.#isClosed) throw closedStorage(action);
    return action;
  }
}
