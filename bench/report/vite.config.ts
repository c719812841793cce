import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The report and the regression gate as Node programs. */
const config: UserConfig = defineConfig({
  build: {
    ssr: true,
    outDir: path("../../build/bench-report"),
    emptyOutDir: true,
    target: "node20",
    rolldownOptions: {
      input: { main: path("main.ts"), regression: path("../regression/main.ts") },
      checks: { pluginTimings: false },
    },
  },
});

export default config;
