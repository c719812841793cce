import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";
import { assemblyScript } from "../../vite.plugins.ts";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The CPU benchmark as a Node program, with its worker beside it; `nearfield` stays an import and resolves to this very package. */
const config: UserConfig = defineConfig({
  plugins: [assemblyScript()],
  build: {
    ssr: true,
    outDir: path("../../build/bench-cpu"),
    emptyOutDir: true,
    target: "node20",
    rolldownOptions: {
      input: {
        main: path("main.ts"),
        "peak-worker": path("peak-worker.ts"),
      },
      external: ["nearfield", "nearfield/testing"],
      checks: { pluginTimings: false },
    },
  },
});

export default config;
