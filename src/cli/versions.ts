/** Versions of what runs, as package files say. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** Ours: package.json lies one folder above the built file, and two above the source. */
export function packageVersion(): string {
  for (const path of ["../package.json", "../../package.json"]) {
    const version = versionIn(new URL(path, import.meta.url), "nearfield");
    if (version !== undefined) return version;
  }
  return "unknown";
}

/** Of a package that may be installed. */
export function installedVersion(name: string): string | undefined {
  try {
    return versionIn(createRequire(import.meta.url).resolve(`${name}/package.json`), name);
  } catch {
    return undefined;
  }
}

function versionIn(path: string | URL, name: string): string | undefined {
  try {
    const manifest: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof manifest !== "object" || manifest === null || Reflect.get(manifest, "name") !== name) return undefined;
    const version: unknown = Reflect.get(manifest, "version");
    return typeof version === "string" ? version : undefined;
  } catch {
    return undefined;
  }
}
