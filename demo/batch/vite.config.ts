import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The batch-scoring example's data as a Node program; `nearfield` stays an import and resolves to this very package. */
const config: UserConfig = defineConfig({
  build: {
    ssr: path("main.ts"),
    outDir: path("../../build/batch"),
    emptyOutDir: true,
    target: "node20",
    rolldownOptions: { external: ["nearfield", "cli-progress"] },
  },
});

export default config;
