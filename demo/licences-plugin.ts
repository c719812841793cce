/** Puts the licences beside the page: of the engine and of the data here, of the libraries in it by vite (`build.license`). */
import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

interface Options {
  /** Name in the build. */
  readonly fileName: string;
  /** What each text is about, and where it lies. */
  readonly texts: readonly (readonly [title: string, file: string])[];
}

export function licences({ fileName, texts }: Options): Plugin {
  return {
    name: "nearfield:licences",
    apply: "build",
    generateBundle() {
      const parts = texts.map(
        ([title, file]) => `${title}\n${"=".repeat(title.length)}\n\n${readFileSync(file, "utf8")}`,
      );
      this.emitFile({ type: "asset", fileName, source: parts.join("\n\n") });
    },
  };
}
