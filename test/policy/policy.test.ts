/** Promises about the repository itself: layers, the public surface, the README's example. */
import { execFile, execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";

const ROOT = process.cwd();
const SRC = join(ROOT, "src");

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return entry.name.endsWith(".ts") ? [path] : [];
  });
}

/** Paths of the relative imports of a file, type imports included. */
function imports(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"?]+)(?:\?[^"]*)?"/g)].map(([, path]) =>
    resolve(dirname(file), path ?? ""),
  );
}

describe("layers", () => {
  /** What each layer may import beside itself; the entries may import everything. */
  const ALLOWED: Readonly<Record<string, readonly string[]>> = {
    core: [],
    cpu: ["core"],
    gpu: ["core", "../shaders"],
    engine: ["core"],
    storage: ["core"],
    collection: ["core", "storage", "engine"],
    io: ["core"],
    cli: ["core", "storage", "engine", "collection", "io", "node-platform.ts"],
  };

  test.each(Object.entries(ALLOWED))("src/%s imports only itself and [%s]", (layer, allowed) => {
    const files = sources(join(SRC, layer)).filter((file) => !file.includes("/assembly/"));
    expect(files.length).toBeGreaterThan(3);
    const strays = files.flatMap((file) =>
      imports(file)
        .filter((target) => ![layer, ...allowed].some((folder) => `${target}/`.startsWith(`${resolve(SRC, folder)}/`)))
        .map((target) => `${relative(ROOT, file)} → ${relative(ROOT, target)}`),
    );
    expect(strays).toEqual([]);
  });

  test("nobody inside imports the entries", () => {
    const entries = new Set(["index.ts", "node.ts", "testing.ts"].map((file) => join(SRC, file)));
    const strays = sources(SRC).filter((file) => imports(file).some((target) => entries.has(target)));
    expect(strays).toEqual([]);
  });

  test("only the Node parts import Node's modules, and nothing writes to the console", () => {
    const files = ["file-driver", "file-lock", "open-file", "process-identity"].map((file) => `storage/${file}.ts`);
    const nodeOnly = new Set(
      ["node.ts", "cpu/spawn-node.ts", "gpu/provider-node.ts", ...files].map((file) => join(SRC, file)),
    );
    for (const file of sources(SRC)) {
      const text = readFileSync(file, "utf8");
      if (!nodeOnly.has(file) && !["cli", "io"].some((folder) => file.startsWith(join(SRC, folder))))
        expect(text, file).not.toMatch(/from "node:/);
      expect(text, file).not.toMatch(/\bconsole\.\w+\(/);
    }
  });
});

test("the public surface is the one in public-api.txt", async () => {
  const out = join(ROOT, ".cache", `api-${process.pid}`);
  execFileSync(process.execPath, [
    join(ROOT, "node_modules", "typescript", "bin", "tsc"),
    "-p",
    "tsconfig.build.json",
    "--outDir",
    out,
  ]);
  const publicModule = readFileSync(join(SRC, "public.ts"), "utf8");
  const files = [...publicModule.matchAll(/from "\.\/(.+)\.ts"/g)].map(([, name]) => `${name ?? ""}.d.ts`);
  onTestFinished(() => rmSync(out, { recursive: true, force: true }));
  const texts = ["index.d.ts", "public.d.ts", "testing.d.ts", ...files].map((file) => {
    const text = readFileSync(join(out, file), "utf8").replaceAll(/\/\*\*?[\s\S]*?\*\//g, "");
    return `// ${file}\n${text.replaceAll(/^\s*\n/gm, "")}`;
  });
  await expect(texts.join("\n")).toMatchFileSnapshot("public-api.txt");
});

const examples = [
  ...readFileSync(join(ROOT, "README.md"), "utf8").matchAll(/```ts\n([\s\S]*?)```\s*prints\s*```\n([\s\S]*?)```/g),
].map(([, code = "", output = ""]) => ({ uses: /import \{ (.*?) \}/.exec(code)?.[1], code, output }));

test("the README has an example of an index and one of a collection", () => {
  expect(examples.map(({ uses }) => uses)).toEqual(["createIndex, RowSet", "openCollection"]);
});

test.each(examples)("the README's example of $uses runs and prints what the README says", async ({ code, output }) => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], {
    cwd: ROOT,
  });
  expect(stderr).toBe("");
  expect(stdout).toBe(output);
});
