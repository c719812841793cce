/** Node's own SQLite with sqlite-vec loaded, typed by what is used of it. */
import { createRequire } from "node:module";
import type { PeerPackages } from "./packages.ts";

export interface Statement {
  run(...values: readonly unknown[]): unknown;
  all(...values: readonly unknown[]): unknown[];
  get(...values: readonly unknown[]): unknown;
}
export interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}
interface NodeSqlite {
  readonly DatabaseSync: new (path: string, options: { readonly allowExtension: boolean }) => Database;
}

/** `path`: of a file, or ":memory:". */
export function openDatabase(packages: PeerPackages, path: string): Database {
  // Not an import: the types of Node 20 do not know it.
  const { DatabaseSync } = sqlite();
  const database = new DatabaseSync(path, { allowExtension: true });
  (packages.require("sqlite-vec") as { load(into: Database): void }).load(database);
  return database;
}

/** The form in which sqlite-vec takes a vector. */
export function blob({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function sqlite(): NodeSqlite {
  try {
    return createRequire(import.meta.url)("node:sqlite") as NodeSqlite;
  } catch (error) {
    throw new Error(`Node ${process.versions.node} has no SQLite, Node 22 and later have: run with --node 24`, {
      cause: error,
    });
  }
}
