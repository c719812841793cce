/** From what Node's file system says (errno names) to the library's codes. */
import { NearfieldError } from "../core/errors.ts";
import { type FileAction, fileNotFound, readOnlyStorage, storageFailed, storageFull } from "./storage-errors.ts";

export function errorCode(error: unknown): string | undefined {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  return typeof code === "string" ? code : undefined;
}

const CHANGES: ReadonlySet<FileAction["verb"]> = new Set(["writing", "removing", "locking", "creating"]);

export function fileError(action: FileAction, cause: unknown): NearfieldError {
  if (cause instanceof NearfieldError) return cause;
  const code = errorCode(cause);
  if (code === undefined) return storageFailed(action, cause);
  switch (code) {
    case "ENOENT":
      return fileNotFound(action, cause);
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return storageFull(action, cause);
    case "EROFS":
      return readOnlyStorage(action, cause);
    case "EACCES":
    case "EPERM":
      return CHANGES.has(action.verb) ? readOnlyStorage(action, cause) : storageFailed(action, cause);
    case "EIO":
      return new NearfieldError("CORRUPT", {
        got: `a device that failed while ${action.verb} "${action.name}" in ${action.location}`,
        expected: "a device that works",
        remedy: "check the disk; restore the collection from a copy if it cannot be read",
        cause,
      });
    case "ENOTDIR":
    case "ENAMETOOLONG":
    case "ELOOP":
      return new NearfieldError("INVALID_OPTION", {
        got: `the location ${action.location}, which no folder can have`,
        expected: "a path of folders",
        remedy: "name another location",
        cause,
      });
    case "EMFILE":
    case "ENFILE":
      return new NearfieldError("BUSY", {
        got: `no file descriptor left for "${action.name}" in ${action.location}`,
        expected: "fewer open files",
        remedy: "close some, or raise the limit (ulimit -n)",
        cause,
      });
    default:
      return storageFailed(action, cause);
  }
}
