/** The CPU backend with a platform that misbehaves: workers that cannot be started, that throw, that die silently. */
import { inlinedKernels } from "../../src/cpu/kernel-bytes.ts";
import type { KernelBytes } from "../../src/cpu/kernels.ts";
import { isProven } from "../../src/cpu/relaxed-probe.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { describe, expect, test, vi } from "vitest";
import type { Batch } from "../../src/core/backend.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { EngineEvent } from "../../src/core/events.ts";
import { readRows, rowNorm } from "../../src/core/matrix.ts";
import { reference } from "../../src/core/reference.ts";
import { WorkSlices } from "../../src/core/slices.ts";
import { CpuBackend } from "../../src/cpu/backend.ts";
import { nodeSpawner } from "../../src/cpu/spawn-node.ts";
import type { WorkerHandle, WorkerSpawner } from "../../src/cpu/spawner.ts";
import { makeData } from "../contract/data.ts";

const D = 8;
const ROWS = 16_000;
const QUERIES = 24;
const { rows, queries } = makeData("gaussian", "euclidean", ROWS, QUERIES, D, 4);

interface Setup {
  readonly backend: CpuBackend;
  readonly store: ReturnType<CpuBackend["createRows"]>;
  readonly events: EngineEvent[];
}

function open(spawner: WorkerSpawner, sharesMemory = true, kernels: KernelBytes | null = null): Setup {
  const events: EngineEvent[] = [];
  const backend = new CpuBackend({
    precision: "f32",
    metric: "euclidean",
    dimensions: D,
    threads: 2,
    spawner,
    workerUrl: undefined,
    kernels,
    sharesMemory,
    usesWorkers: true,
    scan: "auto",
    codedBytes: LIMITS.codedBytes,
    learnRows: LIMITS.learnRows,
    directions: undefined,
    pageWork: 0,
    blockRows: 1024,
    slices: new WorkSlices(systemClock, 1 << 19),
    emit: (event) => events.push(event),
  });
  const store = backend.createRows();
  const reader = readRows(rows, D, "f32");
  for (let row = 0; row < ROWS; row++) {
    store.reserve(row);
    expect(store.write(row, reader, row)).toBeUndefined();
  }
  store.commit(ROWS);
  return { backend, store, events };
}

function batch(k: number): Batch {
  const bits = new Uint32Array(ROWS / 32).fill(0xffffffff);
  return {
    count: QUERIES,
    queries,
    norms: Float64Array.from({ length: QUERIES }, (_, q) => rowNorm(queries, q * D, D)),
    wanted: new Uint32Array(QUERIES).fill(k),
    k,
    maxDistances: new Float32Array(QUERIES).fill(Infinity),
    eligibilities: [{ bits, rowCount: ROWS, count: ROWS }],
    eligibilityOf: new Uint32Array(QUERIES),
  };
}

async function expectExact({ backend, store }: Setup, k = 3): Promise<void> {
  const { topK } = await backend.search(store, batch(k));
  for (let q = 0; q < QUERIES; q++) {
    const query = queries.subarray(q * D, (q + 1) * D);
    const wanted = reference({ metric: "euclidean", rows, dimensions: D, query, k });
    expect([...topK.rows.subarray(q * k, (q + 1) * k)]).toEqual(wanted.map((hit) => hit.row));
  }
}

/** Node's workers, with each handle given to `change` before use. */
function spawnerWith(change: (handle: WorkerHandle, number: number) => WorkerHandle): WorkerSpawner {
  let number = 0;
  return { ...nodeSpawner, spawn: (url) => change(nodeSpawner.spawn(url), number++) };
}

test("relaxed kernels that fail their known-answer probe are left, and the caller is told", async () => {
  // simd128 kernels in their place validate everywhere, and take queries of another width.
  const { simd } = await inlinedKernels();
  expect(await isProven(await WebAssembly.compile(simd))).toBe(false);
  const { backend, store, events } = open(nodeSpawner, true, { simd, relaxed: simd });
  expect(backend.info.simd).toBe("relaxed-simd"); // as far as can be told before a worker has started
  await backend.search(store, batch(3));
  expect(backend.info).toMatchObject({ simd: "simd128", name: expect.stringContaining("WASM SIMD") });
  expect(events.map(({ code }) => code)).toEqual(["cpu-step-down"]);
  expect(Object.keys(backend.stats.kernels)).toContain("scan_f32/wasm");
  backend.close();
});

describe("the worker pool", () => {
  test("one worker that cannot be started does not stop the others: same answers, in workers", async () => {
    const setup = open(
      spawnerWith((handle, number) => {
        if (number !== 1) return handle;
        handle.terminate();
        throw new Error("EAGAIN");
      }),
    );
    for (let i = 0; i < 3; i++) await expectExact(setup);
    expect(setup.backend.stats.rowsScannedInPage).toBe(0);
    expect(setup.events.map((e) => e.code)).toEqual(["worker-crashed"]);
    setup.backend.close();
  });

  test("where no worker can be started the caller's thread searches, and an event says so", async () => {
    const setup = open({
      ...nodeSpawner,
      spawn: () => {
        throw new Error("forbidden");
      },
    });
    await expectExact(setup);
    expect(setup.backend.stats.rowsScannedInWorkers).toBe(0);
    expect(setup.events.map((e) => e.code)).toEqual(["cpu-step-down"]);
    setup.backend.close();
  });

  test.each([true, false])(
    "a worker that throws is replaced without waiting for its death notice (shared: %s)",
    async (shared) => {
      // A terminated Web Worker announces nothing: these handles swallow Node's exit event likewise.
      const setup = open(
        spawnerWith((handle) => ({ ...handle, onDeath: () => {} })),
        shared,
      );
      await expectExact(setup);
      const tooMany = { ...batch(3), wanted: new Uint32Array(QUERIES).fill(2 ** 31), k: 2 ** 31 };
      const failing = setup.backend.search(setup.store, tooMany); // no room for such an answer: RangeError in the worker
      const fine = expectExact(setup);
      await expect(failing).rejects.toMatchObject({ code: "WORKER_FAILED" });
      await fine;
      await expectExact(setup);
      expect(setup.events.map((e) => e.code)).not.toContain("worker-retired");
      setup.backend.close();
    },
  );

  test("a store that is released while its learning waits for a worker is forgotten there, last of all", async () => {
    const asked: string[] = [];
    const { backend, store } = open(
      spawnerWith((handle) => {
        const { endpoint } = handle;
        const postMessage: typeof endpoint.postMessage = (message, transfer) => {
          const path: unknown = Reflect.get(message as object, "path");
          if (Array.isArray(path)) asked.push(path.join("."));
          endpoint.postMessage(message, transfer);
        };
        const add = endpoint.addEventListener.bind(endpoint);
        const remove = endpoint.removeEventListener.bind(endpoint);
        return { ...handle, endpoint: { postMessage, addEventListener: add, removeEventListener: remove } };
      }),
    );
    const sample = rows.slice(0, 512 * D);
    const request = {
      metric: "euclidean",
      dimensions: D,
      sample,
      count: 512,
      rowCount: ROWS,
      rowBytes: 4 * D,
    } as const;
    const learning = backend.learn(store, request, () => false);
    await Promise.resolve(); // it is the worker's turn, which is not there yet
    backend.release(store);
    expect(await learning).toBeUndefined();
    await vi.waitFor(() => expect(asked).toContain("release"));
    expect(asked).toContain("startLearning"); // it had gone too far to be held back
    expect(asked.lastIndexOf("release")).toBe(asked.length - 1);
    backend.close();
  });
});
