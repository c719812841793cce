/**
 * `npm run demo:distil`: makes embedder.bin from all-MiniLM-L6-v2. Some ten minutes on two cores the first time; what
 * MiniLM says is kept in .cache, and a killed run goes on where it was. README.md has the recipe and how good it is.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MINILM_DIMENSIONS, minilmOf } from "../../bench/peers/minilm.ts";
import { PeerPackages } from "../../bench/peers/packages.ts";
import { Progress } from "../../bench/progress.ts";
import { encodeTable } from "./embedder-file.ts";
import { distil, type Recipe } from "./recipe.ts";
import { teaching } from "./teaching.ts";
import { tokenVectors } from "./token-vectors.ts";

const USAGE = `npm run demo:distil -- [options]
  --dimensions N  of the vectors, at most 384 (default 192)
  --sif A         the smaller, the less frequent words count (default 0.001)
  --passes N      over the texts that it learns from (default 10)
  --rate R        step of the first pass (default 0.05)
  --out FILE      (default demo/model/embedder.bin)`;

/** Of the file that is committed. */
const MAX_BYTES = 8_000_000;
// build/model/distil.js and demo/model/distil.ts both lie two folders below the package.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      dimensions: { type: "string", default: "192" },
      sif: { type: "string", default: "0.001" },
      passes: { type: "string", default: "10" },
      rate: { type: "string", default: "0.05" },
      out: { type: "string", default: join(root, "demo", "model", "embedder.bin") },
      help: { type: "boolean", default: false },
    },
  });
  const recipe: Recipe = {
    dimensions: Number(values.dimensions),
    sif: Number(values.sif),
    passes: Number(values.passes),
    rate: Number(values.rate),
  };
  if (values.help || !isRecipe(recipe)) {
    console.error(USAGE);
    return values.help ? 0 : 2;
  }
  const cache = join(root, ".cache");
  mkdirSync(cache, { recursive: true });
  const packages = new PeerPackages(root);
  const model = await minilmOf(packages);
  const { tokens, vectors } = await withProgress("tokens through MiniLM", (onProgress) =>
    tokenVectors(packages, model, cache, onProgress),
  );
  const lessons = await withProgress("texts through MiniLM", (onProgress) =>
    teaching(packages, model, cache, onProgress),
  );
  const table = distil(tokens, { data: vectors, dimensions: MINILM_DIMENSIONS }, lessons, recipe, (pass, loss) =>
    console.error(`pass ${pass + 1} of ${recipe.passes}: 1 − cosine ${loss.toFixed(4)}`),
  );
  const bytes = encodeTable(table);
  if (bytes.length > MAX_BYTES) {
    console.error(`${bytes.length} bytes, which is more than ${MAX_BYTES}: give fewer --dimensions`);
    return 1;
  }
  writeFileSync(values.out, bytes);
  console.log(`${values.out}: ${tokens.length} tokens × ${recipe.dimensions} dimensions, ${bytes.length} bytes`);
  return 0;
}

function isRecipe({ dimensions, sif, passes, rate }: Recipe): boolean {
  return (
    Number.isInteger(dimensions) &&
    dimensions >= 1 &&
    dimensions <= MINILM_DIMENSIONS &&
    Number.isInteger(passes) &&
    passes >= 0 &&
    sif > 0 &&
    rate > 0
  );
}

async function withProgress<T>(
  stage: string,
  work: (onProgress: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  let progress: Progress | undefined; // what is in the cache shows no bar
  try {
    return await work((done, total) => {
      progress ??= new Progress(total);
      progress.show(done, stage);
    });
  } finally {
    progress?.stop();
  }
}

process.exitCode = await main();
