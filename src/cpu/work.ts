/** The kinds of work that are given to workers, each with the way to have it done in the page instead. */
import * as Comlink from "comlink";
import type { Batch, Proposal } from "../core/backend.ts";
import type { LearnRequest } from "../core/learn.ts";
import type { LearnStep } from "./learner.ts";
import { type Part, scanTask, settleTask } from "./parts.ts";
import type { RowStore } from "./row-store.ts";
import type { Scanner } from "./scan.ts";
import type { EncodeTask, ScanTask, SettleTask, TaskResult } from "./tasks.ts";
import type { WorkerApi } from "./worker-api.ts";

/** Asked of one worker, and of the next when that one dies: so messages are made anew for each try. */
export interface Work<T> {
  inWorker(api: Comlink.Remote<WorkerApi>): Promise<T>;
  inPage(scanner: Scanner): Promise<T>;
  /** Not to be asked of another worker when one dies of it: no query waits for it. */
  readonly isExpendable?: boolean;
}

export function scanWork(store: RowStore, batch: Batch, part: Part): Work<TaskResult> {
  const task = (): ScanTask => scanTask(store, batch, part);
  return {
    inWorker: (api) => api.scan(transferred(task())),
    inPage: (scanner) => scanner.scan(task()),
  };
}

export function settleWork(
  store: RowStore,
  batch: Batch,
  part: Part,
  proposal: Proposal,
  seesAllRows: boolean,
): Work<TaskResult> {
  const task = (): SettleTask => settleTask(store, batch, part, proposal, seesAllRows);
  return {
    inWorker: (api) => api.settle(transferred(task())),
    inPage: (scanner) => scanner.settle(task()),
  };
}

/** Codes of those `blocks` that the part names. */
export function encodeWork(store: RowStore, blocks: EncodeTask["blocks"], part: Part): Work<void> {
  const task: EncodeTask = { store: store.id, blocks: blocks.filter(({ block }) => part.blocks.includes(block)) };
  return {
    isExpendable: true,
    inWorker: (api) => api.encode(task),
    inPage: (scanner) => scanner.encode(task),
  };
}

/** The page learns nothing: seconds of work, and code that only workers have. */
const noLearner = (): Promise<undefined> => Promise.resolve(undefined);

/** The request's sample is handed over. */
export function startLearningWork(store: RowStore, request: LearnRequest): Work<LearnStep | undefined> {
  return {
    isExpendable: true,
    inWorker: (api) => api.startLearning(store.id, Comlink.transfer(request, [request.sample.buffer as ArrayBuffer])),
    inPage: noLearner,
  };
}

export function learnOnWork(store: RowStore): Work<LearnStep | undefined> {
  return { isExpendable: true, inWorker: (api) => api.learnOn(store.id), inPage: noLearner };
}

/** The task with those of its buffers that belong to it alone. */
function transferred<T extends ScanTask | SettleTask>(task: T): T {
  const arrays = [task.queries, task.norms, task.wanted, task.maxDistances];
  const more = "rows" in task ? [task.starts, task.rows] : [task.eligibilityOf];
  // `slice` and constructors made them all: none is shared memory.
  return Comlink.transfer(
    task,
    [...arrays, ...more].map((array) => array.buffer as ArrayBuffer),
  );
}
