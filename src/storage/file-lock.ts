/**
 * Who may write to a folder of the file system: the process named in its file `LOCK`.
 *
 * A lock appears whole (written aside, then hard-linked) and only its owner removes it. One whose
 * owner is dead is taken over like this: whoever first creates the *claim* on that very lock (a
 * file named by its token) may replace it, by one rename, if it is still the lock. So there is
 * never a moment without a lock, and one that was judged dead a while ago cannot be confused with
 * the living one that took its place, which renaming the stale file away would do. A claimant that
 * died holds a claim as dead as the lock: claims are claimed in turn.
 *
 * Dead: no such process on this host, or another one under its number (its start differs, boot
 * included; Linux). A lock of another host is never taken over; containers that share a folder
 * must not share a host name.
 */
import { randomUUID } from "node:crypto";
import { link, readdir, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { STORAGE_LIMITS } from "../core/limits.ts";
import { errorCode } from "./file-errors.ts";
import { LOCK_NAME } from "./names.ts";
import { isRunning, processStart } from "./process-identity.ts";
import { lockedStorage } from "./storage-errors.ts";

/** Before the token of the lock that is claimed. */
const CLAIM = `${LOCK_NAME}.claim.`;
/** Before the token of a lock that is being written. */
const ASIDE = `${LOCK_NAME}.aside.`;

export function isLockFile(name: string): boolean {
  return name === LOCK_NAME || name.startsWith(`${LOCK_NAME}.`);
}

interface LockOwner {
  readonly pid: number;
  readonly host: string;
  readonly startedAtMs: number;
  /** When the process started, where the platform says. */
  readonly processStart: string | undefined;
  readonly token: string;
}

/** A lock or claim as found; without an owner: it could not be read. */
interface FoundLock {
  readonly token: string;
  readonly owner: LockOwner | undefined;
  readonly ageMs: number;
}

/** Rejects with LOCKED. The result gives the lock back, once. */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const owner: LockOwner = {
    pid: process.pid,
    host: hostname(),
    startedAtMs: Date.now(),
    processStart: await processStart(process.pid),
    token: randomUUID(),
  };
  const aside = join(folder, ASIDE + owner.token);
  await writeFile(aside, `${JSON.stringify(owner)}\n`, { flag: "wx" });
  try {
    await acquire(folder, aside);
    await sweep(folder);
  } finally {
    await unlinkIfThere(aside);
  }
  let release: Promise<void> | undefined;
  return () => (release ??= giveBack(folder, owner.token));
}

/** Whether a living process has the lock, or is on its way to it. */
export async function isFolderLocked(folder: string): Promise<boolean> {
  const found = await read(join(folder, LOCK_NAME));
  return found !== undefined && !(await isDead(found));
}

async function acquire(folder: string, aside: string): Promise<void> {
  const lock = join(folder, LOCK_NAME);
  let found: FoundLock | undefined;
  for (let attempt = 0; attempt < STORAGE_LIMITS.lockAttempts; attempt++) {
    if (await linkIfFree(aside, lock)) return;
    found = await read(lock);
    if (found === undefined) continue; // given back meanwhile
    if (!(await isDead(found))) throw lockedBy(folder, found);
    if (await takeOver(folder, aside, found)) return;
  }
  throw lockedBy(folder, found);
}

/** Whether the dead lock was replaced; false: it is not the lock any more. */
async function takeOver(folder: string, aside: string, dead: FoundLock): Promise<boolean> {
  const lock = join(folder, LOCK_NAME);
  const passed: string[] = [];
  for (let claimed = dead; passed.length < STORAGE_LIMITS.lockAttempts; ) {
    const claim = join(folder, CLAIM + claimed.token);
    if (await linkIfFree(aside, claim)) {
      const isStill = (await read(lock))?.token === dead.token;
      if (isStill) await rename(aside, lock);
      for (const path of isStill ? [...passed, claim] : [claim]) await unlinkIfThere(path);
      return isStill;
    }
    const claimant = await read(claim);
    if (claimant === undefined) return false;
    if (!(await isDead(claimant))) {
      if ((await read(lock))?.token !== dead.token) return false;
      throw lockedBy(folder, claimant);
    }
    passed.push(claim);
    claimed = claimant;
  }
  throw lockedBy(folder, dead);
}

async function giveBack(folder: string, token: string): Promise<void> {
  const lock = join(folder, LOCK_NAME);
  if ((await read(lock))?.token === token) await unlinkIfThere(lock);
}

/** Removes what dead processes left on their way to the lock. Called by its owner: a claim on another lock than this one is worth nothing. */
async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(ASIDE) && !name.startsWith(CLAIM)) continue;
    const path = join(folder, name);
    const found = await read(path);
    if (found !== undefined && (await isDead(found))) await unlinkIfThere(path);
  }
}

async function isDead({ owner, ageMs }: FoundLock): Promise<boolean> {
  if (owner === undefined) return ageMs > STORAGE_LIMITS.lockSettleMs;
  if (owner.host !== hostname()) return false;
  return !(await isRunning(owner.pid, owner.processStart));
}

async function read(path: string): Promise<FoundLock | undefined> {
  try {
    const { ino, mtimeMs } = await stat(path);
    const owner = ownerOf(await readFile(path, "utf8"));
    return { token: owner?.token ?? `unreadable-${ino}-${Math.floor(mtimeMs)}`, owner, ageMs: Date.now() - mtimeMs };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function ownerOf(text: string): LockOwner | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // torn by a power loss: `ageMs` decides
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { pid, host, startedAtMs, processStart: start, token } = value as Record<string, unknown>; // an object; each field is checked
  if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 0 || typeof host !== "string") return undefined;
  if (typeof startedAtMs !== "number" || typeof token !== "string" || !/^[\w-]{1,64}$/.test(token)) return undefined;
  return { pid, host, startedAtMs, processStart: typeof start === "string" ? start : undefined, token };
}

/** Gives the file a second name; false where that is taken. */
async function linkIfFree(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const code = errorCode(error);
    if (code === "EEXIST") return false;
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "ENOSYS" && code !== "EMLINK") throw error;
  }
  // A file system without hard links (FAT): for a moment the file is there and empty, which others take for an owner at work.
  try {
    await writeFile(to, await readFile(from), { flag: "wx" });
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

function lockedBy(folder: string, found: FoundLock | undefined): Error {
  const owner = found?.owner;
  if (owner === undefined)
    return lockedStorage(folder, `another process is opening (should none be, remove the file ${LOCK_NAME} in it)`);
  const since = new Date(owner.startedAtMs);
  const when = Number.isNaN(since.getTime()) ? "an unknown time" : since.toISOString();
  const details = { pid: owner.pid, host: owner.host, startedAtMs: owner.startedAtMs };
  return lockedStorage(folder, `process ${owner.pid} on ${owner.host} has had open for writing since ${when}`, details);
}
