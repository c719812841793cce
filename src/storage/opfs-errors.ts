/** From what a browser's file system says (names of DOMExceptions) to the library's codes. */
import { NearfieldError } from "../core/errors.ts";
import {
  type FileAction,
  closedStorage,
  fileNotFound,
  lockedStorage,
  storageFailed,
  storageFull,
} from "./storage-errors.ts";

export function opfsError(action: FileAction, cause: unknown): NearfieldError {
  if (cause instanceof NearfieldError) return cause;
  switch (cause instanceof Error ? cause.name : "") {
    case "NotFoundError":
      return fileNotFound(action, cause);
    case "QuotaExceededError":
      return storageFull(action, cause);
    case "NoModificationAllowedError":
      return lockedStorage(action.location, `has "${action.name}" open in another page or worker`);
    case "InvalidStateError":
      return closedStorage(action);
    case "NotSupportedError":
    case "SecurityError":
      return new NearfieldError("UNSUPPORTED", {
        got: `${action.location}, where the browser keeps no files: ${cause instanceof Error ? cause.message : ""}`,
        expected: "a page over https or on localhost, with storage allowed",
        remedy: 'leave private browsing, allow storage for this site, or use ":memory:"',
        cause,
      });
    default:
      return storageFailed(action, cause);
  }
}

export function workerGone(location: string, cause: unknown): NearfieldError {
  return new NearfieldError("WORKER_FAILED", {
    got: `${location}, whose worker could not start or has died`,
    expected: "a worker that handles its files",
    remedy:
      "open the collection again: what was committed is there. On a page with a strict Content-Security-Policy give workerUrl",
    cause,
  });
}
