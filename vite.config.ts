import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";
import { assemblyScript, executable, inlineSource, leanShaders, moduleFile, standaloneFiles } from "./vite.plugins.ts";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The library: two platform entries, fault injection and the command line, sharing chunks; ESM only; nothing to be found at run time. */
const config: UserConfig = defineConfig({
  plugins: [
    assemblyScript(),
    inlineSource(),
    moduleFile(),
    leanShaders(),
    executable("cli.js"),
    standaloneFiles({
      worker: path("src/worker.ts"),
      kernels: path("src/cpu/assembly/index.ts"),
      relaxedKernels: path("src/cpu/assembly/relaxed.ts"),
    }),
  ],
  build: {
    target: "es2022",
    minify: false,
    sourcemap: true,
    lib: {
      entry: {
        index: path("src/index.ts"),
        node: path("src/node.ts"),
        testing: path("src/testing.ts"),
        cli: path("src/cli/main.ts"),
      },
      formats: ["es"],
    },
    rolldownOptions: {
      external: [
        /^node:/,
        "webgpu",
        "commander",
        "cli-progress",
        "csv-parse",
        "hyparquet",
        "hyparquet-writer",
        "apache-arrow",
      ],
      checks: { pluginTimings: false },
    },
  },
});

export default config;
