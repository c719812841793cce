/** The page's side of the browser tests: the same contract table, on the built browser entry. */
import { createIndex, type IndexOptions, RowSet } from "nearfield";
import { crashWorker, type Internals, loseDevice, withInternals } from "nearfield/testing";
import { CONTRACT_CASES, type ContractCase } from "../contract/cases.ts";
import { checkClaim, type Claim, codesReady, expectation, runCase } from "../contract/run.ts";

export interface PageBackend {
  readonly claim: Claim;
  readonly backend: "gpu" | "cpu";
  readonly internals: Internals;
  readonly inWorkers: boolean;
  readonly scan?: "certified";
  readonly kernels?: readonly string[];
}

/** One device for all cases: a software rasteriser takes longer to compile a kernel than to run a case. */
let sharedDevice: Promise<GPUDevice> | undefined;
async function openDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  if (adapter === null) throw new Error("Chromium gave no adapter");
  return adapter.requestDevice();
}

const pageApi = {
  isIsolated: (): boolean => crossOriginIsolated,

  /** The table as this engine makes it. */
  caseNames: (): string[] => CONTRACT_CASES.map((c) => c.name),

  /** Runs one case; resolves with what was wrong. */
  async runContractCase(c: ContractCase, under: PageBackend): Promise<string[]> {
    const { backend, scan, internals } = under;
    const own = {
      backend,
      threads: 2,
      ...(scan === undefined ? {} : { scan }),
      ...(backend === "gpu" ? { device: await (sharedDevice ??= openDevice()) } : {}),
    };
    const create = (options: object): ReturnType<typeof createIndex> =>
      createIndex(withInternals({ ...(options as IndexOptions), ...own }, internals));
    const outcome = await runCase({ createIndex: create, RowSet: RowSet as never }, c, expectation(c), (index) =>
      codesReady(index, internals),
    );
    return [...outcome.problems, ...checkClaim(under.claim, outcome, under.inWorkers, under.kernels)];
  },

  /** Searches before, during and after a fault; resolves with the rows found, what was degraded and what was told. */
  async survive(
    fault: "loseDevice" | "crashWorker",
    backend: "gpu" | "cpu",
  ): Promise<{ rows: number[][]; degraded: string[][]; events: string[]; after: string }> {
    const events: string[] = [];
    const index = await createIndex({ dimensions: 4, backend, threads: 2, onEvent: ({ code }) => events.push(code) });
    const rows = Float32Array.from({ length: 4 * 3000 }, (_, i) => Math.sin(i * 12.9898) * 43.758);
    await index.add(rows);
    const query = rows.slice(40, 44);
    const before = await index.search(query, { k: 5 });
    const during = index.search(query, { k: 5 });
    await (fault === "loseDevice" ? loseDevice(index) : crashWorker(index));
    const results = [before, await during, await index.search(query, { k: 5 })];
    for (let i = 0; i < 100 && fault === "loseDevice" && !events.includes("device-recovered"); i++) {
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
    const last = await index.search(query, { k: 5 });
    await index.close();
    return {
      rows: [...results, last].map((r) => [...r.rows]),
      degraded: [...results, last].map((r) => [...r.report.degraded]),
      events,
      after: last.report.backend,
    };
  },
};

export type PageApi = typeof pageApi;

Object.assign(globalThis, { pageApi });
