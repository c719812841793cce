/** nearfield as a contender, in Node and on a page. */
import { createIndex, type IndexOptions, type SearchOptions, type VectorIndex } from "nearfield";
import { withInternals } from "nearfield/testing";
import type { CaseGroup, Contender } from "./cases/case.ts";
import type { OpenContender } from "./contender.ts";
import { eligibleRows } from "./eligible.ts";
import { type ScanCodes, scanCopiesReady } from "./scan-copies.ts";
import type { Vectors } from "./vectors.ts";

/** The index is filled, has answered once, and has its scan copies when this resolves. */
export async function openNearfield(
  contender: Contender,
  metric: CaseGroup["metric"],
  { dimensions, rows, queries }: Vectors,
): Promise<OpenContender> {
  const { precision, threads, scan, sharesMemory, eligibleShare, backend = "cpu" } = contender;
  const options: IndexOptions = { dimensions, metric, precision, threads, backend, ...(scan ? { scan } : {}) };
  const index = await createIndex(sharesMemory === undefined ? options : withInternals(options, { sharesMemory }));
  try {
    if (index.backend.software) {
      throw new Error(`${index.backend.name} is a software rasteriser: its speed means nothing`);
    }
    await index.add(rows);
    const filter = eligibleShare === undefined ? {} : { filter: eligibleRows(index.rowCount, eligibleShare) };
    await index.search(queries, { k: 10, ...filter });
    const codes = await scanCopiesReady(index);
    return contenderOf(contender, index, codes, filter);
  } catch (error) {
    await index.close();
    throw error;
  }
}

function contenderOf(
  contender: Contender,
  index: VectorIndex,
  codes: ScanCodes | null,
  filter: Pick<SearchOptions, "filter">,
): OpenContender {
  return {
    contender,
    prepare: (queries, k) => ({
      run: async () => {
        const exact = await index.search(queries, { k, ...filter });
        return { rows: () => exact.rows, exact, codes };
      },
    }),
    close: () => index.close(),
  };
}
