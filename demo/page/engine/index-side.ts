/** An index as one side of an engine: for pages whose rows are no records. */
import { createIndex, type EngineEvent, type IndexOptions } from "nearfield";
import type { Found, Kind, Side } from "./engine.ts";

export interface IndexQuestion {
  readonly vector: Float32Array;
  readonly k: number;
}

/** `rows`: [count × dimensions] f32; copied into the index. Rejects like `createIndex` and `add`. */
export async function openIndexSide(
  options: Pick<IndexOptions, "dimensions" | "metric" | "precision">,
  rows: Float32Array,
  backend: "auto" | Kind,
  onEvent: (event: EngineEvent) => void,
): Promise<Side<IndexQuestion, Found & { readonly row: number }>> {
  const index = await createIndex({ ...options, backend, onEvent });
  try {
    await index.add(rows);
  } catch (error) {
    await index.close();
    throw error;
  }
  return {
    kind: index.backend.kind,
    target: index,
    ask: async ({ vector, k }) => {
      const result = await index.search(vector, { k });
      return {
        found: result.hits().map(({ row, distance }) => ({ id: String(row), row, distance })),
        report: result.report,
      };
    },
    state: async () => ({ backend: index.backend, index: index.stats() }),
    close: () => index.close(),
  };
}
