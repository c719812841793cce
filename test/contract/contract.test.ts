/** The contract table on every backend of Node, against the float64 oracle (DESIGN rules 1, 2, 6, 7). */
import { createIndex, type IndexOptions, RowSet } from "nearfield";
import { type Internals, withInternals } from "nearfield/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gpuAvailable } from "../setup/backends.ts";
import { openTestDevice, type TestDevice } from "../setup/device.ts";
import { CONTRACT_CASES, CONTRACT_SEED, type ContractCase } from "./cases.ts";
import {
  checkClaim,
  type Claim,
  codesReady,
  type Expectation,
  expectation,
  isCertifiable,
  isProduct,
  runCase,
} from "./run.ts";

interface BackendUnderTest {
  readonly name: string;
  readonly claim: Claim;
  readonly backend: "gpu" | "cpu";
  readonly internals: Internals;
  readonly inWorkers: boolean;
  readonly options?: Partial<IndexOptions> | ((c: ContractCase) => Partial<IndexOptions>);
  /** Kernels of which one must have scanned. */
  readonly kernels?: readonly string[];
  readonly appliesTo?: (c: ContractCase) => boolean;
}

/** Thresholds from samples however few the rows and queries, tightened on the way. */
const APPENDING = { appendFrom: 1, sampleRows: 128, expectedCandidates: 256 };
/** The tile with the fewest registers, which software compiles soonest, for batches of any size. */
const SMALL_GEMM = { gemm: 1, autotune: 0, gemmShape: 2, gemmFrom: 1 };
const GEMM_KINDS = new Set(["f32 cosine", "f32 dot", "f32 euclidean", "f32 manhattan", "f16 cosine", "i8 euclidean"]);
/** Int8 codes under one metric: the others are held against scan_i8 bit for bit (test/gpu/codes.test.ts). */
const MATRIX_KINDS = new Set(["f16 cosine", "f16 dot", "f32 cosine"]);
/** However small a search is. */
const IN_WORKERS = { pageWork: 0 };
const isSmall = (c: ContractCase): boolean => c.rows * c.dimensions * c.queries < 1e6;

const BACKENDS: readonly BackendUnderTest[] = [
  { name: "plain JS in workers", claim: "js", backend: "cpu", internals: { kernels: "js" }, inWorkers: true },
  {
    name: "WASM, small searches on the caller's thread",
    claim: "wasm",
    backend: "cpu",
    internals: {},
    inWorkers: false,
    appliesTo: isSmall,
  },
  {
    name: "plain JS on the caller's thread",
    claim: "js",
    backend: "cpu",
    internals: { kernels: "js", usesWorkers: false },
    inWorkers: false,
  },
  {
    name: "WASM workers on shared memory",
    claim: "wasm",
    backend: "cpu",
    internals: { cpu: IN_WORKERS },
    inWorkers: true,
  },
  {
    name: "WASM workers with copies of the rows",
    claim: "wasm",
    backend: "cpu",
    internals: { sharesMemory: false },
    inWorkers: true,
  },
  // Where the runtime has relaxed SIMD, that is what the settings above run.
  {
    name: "WASM workers, simd128",
    claim: "wasm",
    backend: "cpu",
    internals: { kernels: "simd128", cpu: IN_WORKERS },
    inWorkers: true,
  },
  {
    name: "WASM workers, certified",
    claim: "wasm",
    backend: "cpu",
    options: { scan: "certified" },
    internals: { cpu: { ...IN_WORKERS, learnRows: 1e9, blockRows: 64 } },
    inWorkers: true,
    kernels: ["scan_i8"],
    appliesTo: isCertifiable,
  },
  {
    name: "WASM workers with copies of the rows, certified by three directions",
    claim: "wasm",
    backend: "cpu",
    options: { scan: "certified" },
    internals: { sharesMemory: false, cpu: { learnRows: 1, directions: 3, blockRows: 64 } },
    inWorkers: true,
    kernels: ["scan_i8"],
    appliesTo: isCertifiable,
  },
  {
    name: "plain JS in workers, certified by five directions",
    claim: "js",
    backend: "cpu",
    options: { scan: "certified" },
    internals: { kernels: "js", cpu: { learnRows: 1, directions: 5, blockRows: 64 } },
    inWorkers: true,
    kernels: ["scan_i8"],
    appliesTo: isCertifiable,
  },
  {
    name: "WASM on the caller's thread, which learns nothing, certified",
    claim: "wasm",
    backend: "cpu",
    options: { scan: "certified" },
    internals: { usesWorkers: false, cpu: { learnRows: 1e9, blockRows: 64 } },
    inWorkers: false,
    kernels: ["scan_i8"],
    appliesTo: isCertifiable,
  },
  {
    name: "GPU, scores",
    claim: "gpu",
    backend: "gpu",
    internals: {},
    inWorkers: true,
    kernels: ["scan_f32", "scan_b1"],
  },
  {
    name: "GPU, sampled thresholds",
    claim: "gpu",
    backend: "gpu",
    internals: { gpu: APPENDING },
    inWorkers: true,
    kernels: ["scan_f32", "scan_b1"],
  },
  {
    name: "GPU, certified, scores",
    claim: "gpu",
    backend: "gpu",
    options: { scan: "certified" },
    internals: { gpu: { learnRows: 1e9 } },
    inWorkers: true,
    kernels: ["scan_i8"],
    appliesTo: isProduct,
  },
  {
    name: "GPU, certified, GEMM and sampled thresholds",
    claim: "gpu",
    backend: "gpu",
    options: { scan: "certified" },
    internals: { gpu: { ...APPENDING, ...SMALL_GEMM, learnRows: 1e9 } },
    inWorkers: true,
    kernels: ["gemm_i8"],
    appliesTo: (c) => isProduct(c) && c.queries > 7,
  },
  {
    name: "GPU, GEMM and sampled thresholds",
    claim: "gpu",
    backend: "gpu",
    options: { scan: "full" },
    internals: { gpu: { ...APPENDING, ...SMALL_GEMM } },
    inWorkers: true,
    kernels: ["gemm_f32"],
    // Every variant takes seconds to compile in software: float32 under all metrics, the others under one each.
    appliesTo: (c) => c.queries > 7 && GEMM_KINDS.has(`${c.precision} ${c.metric}`),
  },
  {
    name: "GPU, matrix GEMM's plain twin",
    claim: "gpu",
    backend: "gpu",
    options: (c) => ({ scan: c.precision === "f16" ? "full" : "certified" }),
    internals: { gpu: { ...APPENDING, gemm: 1, autotune: 0, gemmFrom: 1, matrix: 2, learnRows: 1e9 } },
    inWorkers: true,
    kernels: ["gemm_i8_matrix", "gemm_f16_matrix"],
    appliesTo: (c) => c.queries > 7 && MATRIX_KINDS.has(`${c.precision} ${c.metric}`),
  },
  {
    name: "GPU, rows streamed",
    claim: "gpu",
    backend: "gpu",
    options: (c) => ({ memoryBudgetBytes: Math.max(4096, Math.floor((c.rows * c.dimensions) / 2)) }),
    internals: {},
    inWorkers: true,
    kernels: ["scan_f32", "scan_b1"],
    appliesTo: (c) => c.rows > 500 && c.seed % 2 === 0,
  },
];

const expectations = new Map<ContractCase, Expectation>();
function expected(c: ContractCase): Expectation {
  let known = expectations.get(c);
  if (known === undefined) expectations.set(c, (known = expectation(c)));
  return known;
}

const ran = new Map<string, number>();

describe.each(BACKENDS)("contract on $name", (under) => {
  const { name, claim, backend, internals, inWorkers, options, kernels, appliesTo } = under;
  const cases = CONTRACT_CASES.filter((c) => appliesTo?.(c) ?? true);
  // One device for all cases: a software rasteriser takes longer to compile a kernel than to run a case.
  let shared: TestDevice | undefined;
  beforeAll(async () => {
    if (backend === "gpu" && gpuAvailable()) shared = await openTestDevice();
  });
  afterAll(() => shared?.close());
  test.skipIf(backend === "gpu" && !gpuAvailable()).each(cases)("$name", async (c) => {
    const create = (given: object): ReturnType<typeof createIndex> =>
      createIndex(
        withInternals(
          {
            ...(given as IndexOptions),
            ...(typeof options === "function" ? options(c) : options),
            ...(shared === undefined ? {} : { device: shared.device }),
            backend,
            threads: 2,
          },
          internals,
        ),
      );
    const outcome = await runCase({ createIndex: create, RowSet: RowSet as never }, c, expected(c), (index) =>
      codesReady(index, internals),
    );
    expect([...outcome.problems, ...checkClaim(claim, outcome, inWorkers, kernels)]).toEqual([]);
    ran.set(name, (ran.get(name) ?? 0) + 1);
  });
});

afterAll(() => {
  for (const [name, count] of ran) console.info(`contract (seed ${CONTRACT_SEED}): ${count} cases on ${name}`);
});
