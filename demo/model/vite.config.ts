import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The making of the text embedder and its examination as Node programs; `nearfield` resolves to this very package. */
const config: UserConfig = defineConfig({
  build: {
    ssr: true,
    outDir: path("../../build/model"),
    emptyOutDir: true,
    target: "node20",
    rolldownOptions: {
      input: { distil: path("distil.ts"), quality: path("quality.ts") },
      external: ["nearfield"],
    },
  },
});

export default config;
