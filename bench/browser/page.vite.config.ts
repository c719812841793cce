import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The page of the browser benchmark, on the built browser entry. */
const config: UserConfig = defineConfig({
  root: path(".."),
  resolve: {
    alias: [
      { find: /^nearfield$/, replacement: path("../../dist/index.js") },
      { find: /^nearfield\/testing$/, replacement: path("../../dist/testing.js") },
    ],
  },
  build: {
    outDir: path("../../build/bench-page"),
    emptyOutDir: true,
    target: "es2022",
    rolldownOptions: { input: path("../browser.html") },
  },
});

export default config;
