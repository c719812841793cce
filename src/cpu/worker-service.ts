/**
 * What a CPU worker does: one bundle, inlined into the library, for Node's worker_threads and for
 * Web Workers. Owns its compiled kernels and, where memory cannot be shared, its copy of the rows.
 */
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { compiledLevel, compileKernels, type KernelModules } from "./kernels.ts";
import { Learner } from "./learner.ts";
import { attachedMemory } from "./memory.ts";
import { Scanner } from "./scan.ts";
import type { TaskResult } from "./tasks.ts";
import type { WorkerApi } from "./worker-api.ts";

let modules: KernelModules = {};
let scanner = new Scanner(modules, 0);
const learners = new Map<number, Learner>();

const api: WorkerApi = {
  async start(slot, kernels) {
    const compiled = kernels === null ? { modules: {} } : await compileKernels(kernels);
    modules = compiled.modules;
    scanner = new Scanner(modules, slot);
    return compiledLevel(modules);
  },
  attachChunk: (store, shape, index, memory) => scanner.attachChunk(store, shape, index, attachedMemory(memory)),
  putRows: (store, shape, block, first, rows, terms, scales) =>
    scanner.putRows(store, shape, block, first, rows, terms, scales),
  setBasis: (store, shape, basis) => scanner.setBasis(store, shape, basis),
  release(store) {
    scanner.release(store);
    learners.delete(store);
  },
  encode: (task) => scanner.encode(task),
  startLearning(store, request) {
    learners.set(store, new Learner(modules, request));
    return { share: 0 };
  },
  learnOn(store) {
    const step = learners.get(store)?.step();
    if (step?.learnt !== undefined || step?.failure !== undefined) learners.delete(store);
    return step;
  },
  scan: async (task) => handOver(await scanner.scan(task)),
  settle: async (task) => handOver(await scanner.settle(task)),
  crash() {
    // A throw from a later turn reaches nobody who could catch it: the runtime reports the worker as failed.
    setTimeout(() => {
      throw new Error("worker crashed on request of nearfield/testing");
    });
  },
};

function handOver(result: TaskResult): TaskResult {
  const { rows, distances, counts } = result.topK;
  return Comlink.transfer(result, [rows.buffer, distances.buffer, counts.buffer, result.settled.buffer]);
}

/** The worker's end of the channel. Node offers it through a built-in module, which a browser bundle must not import. */
function ownEndpoint(): Comlink.Endpoint | undefined {
  if (typeof process === "object" && typeof process.getBuiltinModule === "function") {
    const port = process.getBuiltinModule("node:worker_threads").parentPort;
    return port === null ? undefined : nodeEndpoint(port);
  }
  return undefined;
}

/** Answers from now on. */
export function serveCpu(): void {
  Comlink.expose(api, ownEndpoint());
}
