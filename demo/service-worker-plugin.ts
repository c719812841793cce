/** Builds service-worker.ts as one classic script, with the list of the build's files in front of it. */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "vite";

interface Options {
  /** Of files that are copied into the build as they are: all of them, and those that the front page needs. */
  readonly copied: () => { readonly all: readonly string[]; readonly front: readonly string[] };
}

const FILE = "service-worker.js";
const ENTRY = fileURLToPath(new URL("service-worker.ts", import.meta.url));

export function serviceWorker({ copied }: Options): Plugin {
  return {
    name: "nearfield:service-worker",
    apply: "build",
    enforce: "post",
    async generateBundle(_, bundle) {
      const built = Object.values(bundle).filter(({ fileName }) => !fileName.endsWith(".map"));
      const code = built.filter(({ fileName }) => fileName !== "index.html").map(({ fileName }) => fileName);
      const page = built.find(({ fileName }) => fileName === "index.html");
      const all = [...code, ...copied().all].sort();
      // Chunks of other pages are small: keeping all code makes every page open offline.
      const front = [...code, ...copied().front].sort();
      const content = JSON.stringify(all) + (page?.type === "asset" ? String(page.source) : "");
      const name = createHash("sha256").update(content).digest("hex").slice(0, 8);
      this.emitFile({
        type: "asset",
        fileName: FILE,
        source: `self.demoBuild=${JSON.stringify({ name, front, all })};\n${await script()}`,
      });
    },
  };
}

async function script(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "warn",
    build: { write: false, target: "es2022", lib: { entry: ENTRY, formats: ["iife"], name: "serviceWorker" } },
  });
  const [output] = Array.isArray(result) ? result : [result];
  if (output === undefined || !("output" in output)) throw new Error("vite built no service worker");
  return output.output[0].code;
}
