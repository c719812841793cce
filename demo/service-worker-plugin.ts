/** Builds service-worker.ts as one classic script, with the list of the build's files in front of it. */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { build, type Plugin, type Rolldown } from "vite";

interface Options {
  /** Of files that are copied into the build as they are: all of them, and those that the front page needs. */
  readonly copied: () => { readonly all: readonly string[]; readonly front: readonly string[] };
  /** How the names of chunks begin that the front page does without, or has always loaded before it is kept. */
  readonly later: readonly string[];
}

const FILE = "service-worker.js";
const ENTRY = fileURLToPath(new URL("service-worker.ts", import.meta.url));

export function serviceWorker({ copied, later }: Options): Plugin {
  return {
    name: "nearfield:service-worker",
    apply: "build",
    enforce: "post",
    async generateBundle(_, bundle) {
      const built = Object.values(bundle);
      const page = built.find(({ fileName }) => fileName === "index.html");
      const entry = built.find((file) => file.type === "chunk" && file.isEntry);
      const names = built.map(({ fileName }) => fileName);
      // Only these are named after their content.
      const code = names.filter((name) => name.startsWith("assets/") && !name.endsWith(".map"));
      if (page?.type !== "asset" || entry === undefined) throw new Error("the build has no page or no entry");
      const all = [...code, ...copied().all].sort();
      const onDemand = laterFiles(bundle, later);
      const front = [...code.filter((name) => !onDemand.has(name)), ...copied().front].sort();
      const content = JSON.stringify(all) + String(page.source);
      const name = createHash("sha256").update(content).digest("hex").slice(0, 8);
      this.emitFile({
        type: "asset",
        fileName: FILE,
        source: `self.demoBuild=${JSON.stringify({ name, entry: entry.fileName, front, all })};\n${await script()}`,
      });
    },
  };
}

/** Chunks by how their names begin, with their styles, and what only they import. Throws where a name begins none. */
function laterFiles(bundle: Rolldown.OutputBundle, beginnings: readonly string[]): Set<string> {
  const chunks = Object.values(bundle).filter((file) => file.type === "chunk");
  const begins = (beginning: string, { name }: Rolldown.OutputChunk): boolean =>
    name === beginning || name.startsWith(`${beginning}-`);
  for (const beginning of beginnings) {
    if (!chunks.some((chunk) => begins(beginning, chunk))) throw new Error(`no chunk is called ${beginning}`);
  }
  const needed = new Set<string>();
  const visit = (fileName: string): void => {
    const chunk = chunks.find((one) => one.fileName === fileName);
    if (chunk === undefined || needed.has(fileName) || beginnings.some((one) => begins(one, chunk))) return;
    needed.add(fileName);
    chunk.imports.forEach(visit);
    chunk.dynamicImports.forEach(visit);
  };
  for (const { isEntry, fileName } of chunks) if (isEntry) visit(fileName);
  const others = chunks.filter(({ fileName }) => !needed.has(fileName));
  return new Set(others.flatMap(({ fileName, viteMetadata }) => [fileName, ...(viteMetadata?.importedCss ?? [])]));
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
