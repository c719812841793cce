/** The contract table on every backend of Node, against the float64 oracle (DESIGN rules 1, 2, 6, 7). */
import { createIndex, type IndexOptions, RowSet } from "nearfield";
import { type Internals, withInternals } from "nearfield/testing";
import { afterAll, describe, expect, test } from "vitest";
import { gpuAvailable } from "../setup/backends.ts";
import { CONTRACT_CASES, CONTRACT_SEED, type ContractCase, gpuPrecisions } from "./cases.ts";
import { checkClaim, type Claim, type Expectation, expectation, runCase } from "./run.ts";

interface BackendUnderTest {
  readonly name: string;
  readonly claim: Claim;
  readonly backend: "gpu" | "cpu";
  readonly internals: Internals;
  readonly inWorkers: boolean;
}

const BACKENDS: readonly BackendUnderTest[] = [
  { name: "plain JS in workers", claim: "js", backend: "cpu", internals: { kernels: "js" }, inWorkers: true },
  {
    name: "plain JS on the caller's thread",
    claim: "js",
    backend: "cpu",
    internals: { kernels: "js", usesWorkers: false },
    inWorkers: false,
  },
  { name: "WASM workers on shared memory", claim: "wasm", backend: "cpu", internals: {}, inWorkers: true },
  {
    name: "WASM workers with copies of the rows",
    claim: "wasm",
    backend: "cpu",
    internals: { sharesMemory: false },
    inWorkers: true,
  },
  { name: "GPU", claim: "gpu", backend: "gpu", internals: {}, inWorkers: true },
];

const expectations = new Map<ContractCase, Expectation>();
function expected(c: ContractCase): Expectation {
  let known = expectations.get(c);
  if (known === undefined) expectations.set(c, (known = expectation(c)));
  return known;
}

const ran = new Map<string, number>();

describe.each(BACKENDS)("contract on $name", ({ name, claim, backend, internals, inWorkers }) => {
  const cases = CONTRACT_CASES.filter((c) => backend === "cpu" || gpuPrecisions.includes(c.precision));
  test.skipIf(backend === "gpu" && !gpuAvailable()).each(cases)("$name", async (c) => {
    const create = (options: object): ReturnType<typeof createIndex> =>
      createIndex(withInternals({ ...(options as IndexOptions), backend, threads: 2 }, internals));
    const outcome = await runCase({ createIndex: create, RowSet: RowSet as never }, c, expected(c));
    expect([...outcome.problems, ...checkClaim(claim, outcome, inWorkers)]).toEqual([]);
    ran.set(name, (ran.get(name) ?? 0) + 1);
  });
});

afterAll(() => {
  for (const [name, count] of ran) console.info(`contract (seed ${CONTRACT_SEED}): ${count} cases on ${name}`);
});
