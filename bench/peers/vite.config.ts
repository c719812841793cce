import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The comparison with other engines as Node programs; `nearfield` stays an import and resolves to this very package. */
const config: UserConfig = defineConfig({
  build: {
    ssr: true,
    outDir: path("../../build/bench-peers"),
    emptyOutDir: true,
    target: "node20",
    rolldownOptions: {
      input: { main: path("main.ts"), "store-turn": path("store-turn.ts") },
      external: ["nearfield", "nearfield/testing"],
      checks: { pluginTimings: false },
    },
  },
});

export default config;
