import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The program that opens the page, for Node. */
const config: UserConfig = defineConfig({
  build: {
    ssr: path("main.ts"),
    outDir: path("../../build/bench-browser"),
    emptyOutDir: true,
    target: "node20",
  },
});

export default config;
