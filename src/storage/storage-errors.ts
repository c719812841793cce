/**
 * What drivers say when a platform refuses: one wording a failure, whatever the platform. Which of
 * them a platform's own error comes to is its driver's business.
 */
import { NearfieldError } from "../core/errors.ts";
import { STORAGE_LIMITS } from "../core/limits.ts";
import type { StorageDriver } from "./driver.ts";

/** What was being done, for messages: `reading "segment-3" in ./photos.nf`. */
export interface FileAction {
  readonly location: string;
  /** Empty: the folder itself. */
  readonly name: string;
  readonly verb: "opening" | "reading" | "writing" | "removing" | "listing" | "locking" | "creating";
}

const phrase = ({ verb, name, location }: FileAction): string =>
  name === "" ? `${verb} ${location}` : `${verb} "${name}" in ${location}`;

export function fileNotFound(action: FileAction, cause?: unknown): NearfieldError {
  return new NearfieldError("NOT_FOUND", {
    got: `${phrase(action)}, which does not exist`,
    expected: action.name === "" ? "a folder" : "a file of that name",
    remedy: "check the location, or restore the missing file from a copy",
    cause,
  });
}

export function fileTooShort(action: FileAction, offset: number, length: number, size: number): NearfieldError {
  return new NearfieldError("CORRUPT", {
    got: `${phrase(action)}: bytes ${offset} to ${offset + length} of a file of ${size}`,
    expected: "a file that holds them",
    remedy: "the file was cut short; an older version, or a copy, may be whole",
    details: { offset, length, size },
  });
}

export function storageFull(action: FileAction, cause: unknown): NearfieldError {
  return new NearfieldError("QUOTA_EXCEEDED", {
    got: `${phrase(action)}, and there is no room left`,
    expected: "room on the disk, or in the quota",
    remedy: "free some space, compact the collection, or ask for more; nothing that was committed is lost",
    cause,
  });
}

export function readOnlyStorage(action: FileAction, cause?: unknown): NearfieldError {
  return new NearfieldError("READ_ONLY", {
    got: `${phrase(action)}, ${cause === undefined ? "which was opened to read only" : "which may not be written"}`,
    expected: "a location that may be written",
    remedy: "open it without readOnly, change its permissions, or copy it elsewhere",
    cause,
  });
}

export function closedStorage(action: FileAction): NearfieldError {
  return new NearfieldError("CLOSED", {
    got: `${phrase(action)} after it was closed`,
    expected: "an open collection",
    remedy: "open it again, or close it later",
  });
}

/** `holder`: a clause that says who, as far as is known. */
export function lockedStorage(location: string, holder: string, details?: unknown): NearfieldError {
  return new NearfieldError("LOCKED", {
    got: `${location}, which ${holder}`,
    expected: "no other writer",
    remedy: "close it there, or open it here with readOnly: true",
    details,
  });
}

/** The platform failed in a way that no other code fits. */
export function storageFailed(action: FileAction, cause: unknown): NearfieldError {
  return new NearfieldError("UNSUPPORTED", {
    got: `${phrase(action)}: ${cause instanceof Error ? cause.message : String(cause)}`,
    expected: "a file system that allows it",
    remedy: "see the cause; check permissions and the location, or choose another",
    cause,
  });
}

const PLAIN_NAME = /^[a-z0-9-][a-z0-9.-]*$/;

/** Names that every file system takes as they are; none leads out of its folder. */
export function checkFileName(name: string): void {
  if (PLAIN_NAME.test(name) && name.length <= STORAGE_LIMITS.fileNameLength) return;
  throw new NearfieldError("INVALID_OPTION", {
    got: `the file name ${JSON.stringify(name.slice(0, 2 * STORAGE_LIMITS.fileNameLength))}`,
    expected: `1 to ${STORAGE_LIMITS.fileNameLength} of a–z, 0–9, "." and "-", the first not a "."`,
    remedy: "name files of a collection plainly",
  });
}

/** A bug of the caller, not of the data: offsets are computed from checked sizes. */
export function checkOffset(offset: number, length = 0): void {
  if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(offset + length))
    throw new Error(`not an offset in a file: ${offset} + ${length}`);
}

/** What a driver is about to do to one of its files, or to the folder where `name` is empty. Throws CLOSED, READ_ONLY. */
export function checkedAction(
  { location, isReadOnly }: Pick<StorageDriver, "location" | "isReadOnly">,
  isClosed: boolean,
  verb: FileAction["verb"],
  name: string,
  isChange: boolean,
): FileAction {
  const action: FileAction = { location, name, verb };
  if (isClosed) throw closedStorage(action);
  if (isChange && isReadOnly) throw readOnlyStorage(action);
  return action;
}

/** A location that no collection can have here. */
export function invalidLocation(location: string, expected: string): NearfieldError {
  return new NearfieldError("INVALID_OPTION", {
    got: `the location ${JSON.stringify(location.slice(0, 2 * STORAGE_LIMITS.fileNameLength))}`,
    expected,
    remedy: "name another location",
  });
}
