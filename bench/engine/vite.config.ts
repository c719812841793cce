import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";
import { assemblyScript } from "../../vite.plugins.ts";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The benchmark as a Node program, with its child programs beside it; `nearfield` stays an import and resolves to this very package. */
const config: UserConfig = defineConfig({
  plugins: [assemblyScript()],
  build: {
    ssr: true,
    outDir: path("../../build/bench-engine"),
    emptyOutDir: true,
    target: "node20",
    rolldownOptions: {
      input: { main: path("main.ts"), "memory-child": path("memory-child.ts"), "cold-child": path("cold-child.ts") },
      external: ["nearfield", "nearfield/testing"],
      checks: { pluginTimings: false },
    },
  },
});

export default config;
