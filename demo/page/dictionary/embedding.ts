/** The embedder's worker, seen from the page. One for as long as the page lives. */
import * as Comlink from "comlink";
import type { EmbedApi } from "./embed-worker.ts";

/** Rejects, with the reason, when the worker's script cannot be loaded; Comlink alone would wait for ever. */
export function startEmbedder(): { readonly api: Comlink.Remote<EmbedApi>; readonly failed: Promise<never> } {
  const worker = new Worker(new URL("./embed-worker.ts", import.meta.url), { type: "module", name: "embedder" });
  const failed = new Promise<never>((_, reject) => {
    worker.addEventListener("error", ({ message }) => {
      reject(
        new Error(`the embedder's worker could not run${message === undefined ? "" : `: ${message}`}; reload the page`),
      );
    });
  });
  failed.catch(() => {}); // whoever waits for an answer races with it
  return { api: Comlink.wrap<EmbedApi>(worker), failed };
}
