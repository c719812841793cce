import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";
import { assemblyScript, inlineSource, leanShaders, moduleFile } from "./vite.plugins.ts";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Tests of the package run on what was built (dist); unit tests import single modules of src. */
const config: ViteUserConfig = defineConfig({
  plugins: [assemblyScript(), inlineSource(), leanShaders(), moduleFile()],
  resolve: {
    alias: [
      { find: /^nearfield$/, replacement: path("dist/node.js") },
      { find: /^nearfield\/testing$/, replacement: path("dist/testing.js") },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/setup/global.ts"],
    pool: "forks",
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    server: { deps: { external: [/\/dist\//] } },
  },
});

export default config;
