/** What collections say that the layers below do not. */
import { describe, NearfieldError } from "../core/errors.ts";
import type { Damage } from "../storage/damage.ts";

export function closedCollection(action: string): NearfieldError {
  return new NearfieldError("CLOSED", {
    got: `${action} on a closed collection`,
    expected: "an open collection",
    remedy: "open it again, or close it later",
  });
}

export function readOnlyCollection(action: string, location: string): NearfieldError {
  return new NearfieldError("READ_ONLY", {
    got: `${action} of ${location}, which was opened to read only`,
    expected: "a collection opened for writing",
    remedy: "open it without readOnly; a checkout is changed by restoring its version",
  });
}

export function noSuchVersion(versionOrTag: unknown, known: string): NearfieldError {
  return new NearfieldError("NOT_FOUND", {
    got: typeof versionOrTag === "number" ? `version ${versionOrTag}` : `the tag ${describe(versionOrTag)}`,
    expected: known,
    remedy:
      "see which versions and tags there are; compaction drops versions that neither a tag nor keepVersions keeps",
    details: { versionOrTag },
  });
}

export function noSuchRecord(id: string): NearfieldError {
  return new NearfieldError("NOT_FOUND", {
    got: `like: ${describe(id)}, an id that is not there`,
    expected: "the id of a record",
    remedy: "give the id of a record that is there, or query by vector",
    details: { id },
  });
}

/** Memory could not follow the disk. */
export function behindDisk(cause: unknown): NearfieldError {
  return new NearfieldError("READ_ONLY", {
    got: "a change after an earlier one was stored but could not be shown",
    expected: "a collection in memory that has all that is stored",
    remedy: "close it and open it again, with more memory: nothing that was stored is lost",
    cause,
  });
}

/** A version that is listed, but whose files are not whole any more. */
export function lostVersion(version: number, found: number, damage: Damage | undefined): NearfieldError {
  return new NearfieldError("CORRUPT", {
    got: `version ${version}, of which only what was before version ${found + 1} can be read${damage === undefined ? "" : `: ${damage.reason} (${damage.file})`}`,
    expected: "a journal that is whole",
    remedy: "open another version, or restore the file from a copy; verify() tells what is damaged",
    details: damage,
  });
}
