/** Builds service-worker.ts as one classic script, with the list of the build's files in front of it. */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { build, type Plugin, type Rolldown } from "vite";

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
      const later = onDemand(bundle);
      const front = [...code.filter((name) => !later.has(name)), ...copied().front].sort();
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

/** Files that the front page's first load does without: chunks behind an `import()` and their styles. */
function onDemand(bundle: Rolldown.OutputBundle): Set<string> {
  const chunks = Object.values(bundle).filter((file) => file.type === "chunk");
  const first = new Set<string>();
  const visit = (name: string): void => {
    const chunk = chunks.find(({ fileName }) => fileName === name);
    if (chunk === undefined || first.has(name)) return;
    first.add(name);
    chunk.imports.forEach(visit);
  };
  for (const { isEntry, fileName } of chunks) if (isEntry) visit(fileName);
  const later = chunks.filter(({ fileName }) => !first.has(fileName));
  return new Set(later.flatMap(({ fileName, viteMetadata }) => [fileName, ...(viteMetadata?.importedCss ?? [])]));
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
