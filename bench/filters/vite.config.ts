import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The benchmark of ids, metadata and filters as a Node program; it measures modules of src, which are not public. */
const config: UserConfig = defineConfig({
  build: {
    ssr: true,
    outDir: path("../../build/bench-filters"),
    emptyOutDir: true,
    target: "node20",
    rolldownOptions: { input: { main: path("main.ts") }, checks: { pluginTimings: false } },
  },
});

export default config;
