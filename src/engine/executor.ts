/**
 * Answers one batch: on the GPU with the CPU settling what it proposes, or on the CPU alone, or,
 * when something fails on the way, partly on each. Whatever happens, every query is answered
 * exactly or the batch rejects; what was amiss goes into each job's tally.
 */
import {
  type Batch,
  DeviceLostError,
  type ExactAnswer,
  type ExactBackend,
  type Proposal,
  type Proposer,
  type Rows,
} from "../core/backend.ts";
import type { Clock } from "../core/clock.ts";
import { NearfieldError } from "../core/errors.ts";
import type { EventSink } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import type { GpuSession } from "./gpu-session.ts";
import { queryVectors } from "./ingest.ts";
import { eligibilityOf, type SearchJob } from "./job.ts";
import type { Piece } from "./scheduler.ts";

export interface ExecutorOptions {
  readonly exact: ExactBackend;
  readonly session: GpuSession | undefined;
  readonly emit: EventSink;
  readonly clock: Clock;
}

/** A query of the batch and where its answer goes. */
interface Target {
  readonly job: SearchJob;
  readonly query: number;
}

export class Executor {
  readonly #options: ExecutorOptions;
  #gpuFailures = 0;

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  async execute(pieces: readonly Piece<SearchJob>[]): Promise<void> {
    const { clock } = this.#options;
    const startedAt = clock.now();
    const rows = pieces[0]?.job.group;
    if (rows === undefined) return;
    const { batch, targets } = assemble(rows, pieces);
    const size = pieces.reduce((sum, piece) => sum + piece.count, 0);
    for (const { job } of pieces) {
      job.tally.startedAt = Math.min(job.tally.startedAt, startedAt);
      job.tally.batch = Math.max(job.tally.batch, size);
    }
    if (targets.length > 0) await this.#answer(rows, batch, targets);
    const finishedAt = clock.now();
    for (const { job } of pieces) job.tally.finishedAt = finishedAt;
  }

  async #answer(rows: Rows, batch: Batch, targets: readonly Target[]): Promise<void> {
    const { exact, session } = this.#options;
    const degrade = (reason: string, queries: readonly number[]): void => {
      for (const q of queries) targets[q]?.job.tally.degraded.add(reason);
    };
    const all = targets.map((_, q) => q);
    const proposer = session?.proposer;
    let proposal: Proposal | undefined;
    if (proposer !== undefined) {
      proposal = await this.#propose(proposer, rows, batch, (reason) => degrade(reason, all));
    } else if (session !== undefined) {
      degrade(`${session.absence}:finished-on-cpu`, all);
    }
    if (proposal === undefined) {
      deliver(await exact.search(rows, batch), all, targets, "cpu");
      return;
    }
    const { candidates, rescans, certified, directions } = proposal;
    const settled = all.filter((q) => candidates[q] !== null);
    const unsettled = all.filter((q) => candidates[q] === null);
    for (const q of all) {
      const tally = targets[q]?.job.tally;
      if (tally === undefined) continue;
      tally.rescans += rescans[q] ?? 0;
      tally.certified += certified[q] ?? 0;
      tally.directions = Math.max(tally.directions, directions);
    }
    if (settled.length > 0) {
      const part = settled.length === all.length ? batch : subBatch(rows, batch, settled);
      const picked = {
        candidates: settled.map((q) => candidates[q] ?? null),
        rescans: Uint8Array.from(settled, (q) => rescans[q] ?? 0),
        certified: Uint8Array.from(settled, (q) => certified[q] ?? 0),
        directions,
      };
      deliver(await exact.settle(rows, part, picked), settled, targets, "gpu");
    }
    if (unsettled.length > 0) {
      // A query without a rescan was not scanned: its magnitude or its k is not for this GPU.
      for (const q of unsettled)
        degrade(`${rescans[q] === 1 ? "survivors-overflow" : "gpu-unsuited"}:finished-on-cpu`, [q]);
      deliver(await exact.search(rows, subBatch(rows, batch, unsettled)), unsettled, targets, "cpu");
    }
  }

  /** The GPU's proposal, or undefined, with the reason told, when the CPU has to do it. */
  async #propose(
    proposer: Proposer,
    rows: Rows,
    batch: Batch,
    degrade: (reason: string) => void,
  ): Promise<Proposal | undefined> {
    try {
      const proposal = await proposer.propose(rows, batch);
      this.#gpuFailures = 0;
      this.#options.session?.confirm(proposer);
      return proposal;
    } catch (cause) {
      if (cause instanceof DeviceLostError) {
        degrade("device-lost:finished-on-cpu");
        return undefined;
      }
      const isMemory = cause instanceof NearfieldError && cause.code === "OUT_OF_MEMORY";
      degrade(isMemory ? "gpu-out-of-memory:finished-on-cpu" : "gpu-failed:finished-on-cpu");
      this.#options.emit({
        code: "gpu-failed",
        level: "error",
        message: `a GPU batch failed and finished on the CPU: ${String(cause)}`,
        cause,
      });
      if (++this.#gpuFailures >= LIMITS.gpuFailures)
        this.#options.session?.abandon(`${this.#gpuFailures} batches failed in a row`);
      return undefined;
    }
  }
}

/** Gathers the queries that any row may answer into one batch. */
function assemble(rows: Rows, pieces: readonly Piece<SearchJob>[]): { batch: Batch; targets: Target[] } {
  const targets: Target[] = [];
  for (const { job, first, count } of pieces) {
    for (let query = first; query < first + count; query++) {
      if (eligibilityOf(job, query).count > 0) targets.push({ job, query });
    }
  }
  const count = targets.length;
  const { stride } = rows;
  const queries = queryVectors(rows, count * stride);
  const norms = new Float64Array(count);
  const wanted = new Uint32Array(count);
  const maxDistances = new Float32Array(count);
  const eligibilities = new Map<object, number>();
  const eligibilityIndex = new Uint32Array(count);
  targets.forEach(({ job, query }, q) => {
    const eligibility = eligibilityOf(job, query);
    let index = eligibilities.get(eligibility);
    if (index === undefined) eligibilities.set(eligibility, (index = eligibilities.size));
    eligibilityIndex[q] = index;
    queries.set(job.vectors.subarray(query * stride, (query + 1) * stride), q * stride);
    norms[q] = job.norms[query] ?? 0;
    wanted[q] = Math.min(job.width, eligibility.count);
    maxDistances[q] = job.maxDistance;
  });
  const distinct: Batch["eligibilities"][number][] = [];
  targets.forEach(({ job, query }, q) => {
    distinct[eligibilityIndex[q] ?? 0] = eligibilityOf(job, query);
  });
  return {
    targets,
    batch: {
      count,
      queries,
      norms,
      wanted,
      k: wanted.reduce((a, b) => Math.max(a, b), 0),
      maxDistances,
      eligibilities: distinct,
      eligibilityOf: eligibilityIndex,
    },
  };
}

/** The batch of only the queries numbered. */
function subBatch(rows: Rows, batch: Batch, queries: readonly number[]): Batch {
  const { stride } = rows;
  const vectors = queryVectors(rows, queries.length * stride);
  queries.forEach((q, i) => vectors.set(batch.queries.subarray(q * stride, (q + 1) * stride), i * stride));
  const wanted = Uint32Array.from(queries, (q) => batch.wanted[q] ?? 0);
  return {
    count: queries.length,
    queries: vectors,
    norms: Float64Array.from(queries, (q) => batch.norms[q] ?? 0),
    wanted,
    k: wanted.reduce((a, b) => Math.max(a, b), 0),
    maxDistances: Float32Array.from(queries, (q) => batch.maxDistances[q] ?? Infinity),
    eligibilities: batch.eligibilities,
    eligibilityOf: Uint32Array.from(queries, (q) => batch.eligibilityOf[q] ?? 0),
  };
}

/** Copies answers to the jobs they belong to. `queries`: the batch's numbers of the answer's queries, in order. */
function deliver(answer: ExactAnswer, queries: readonly number[], targets: readonly Target[], by: "gpu" | "cpu"): void {
  const { topK, settled, certified, rescans, directions } = answer;
  queries.forEach((q, i) => {
    const target = targets[q];
    if (target === undefined) return;
    const { job, query } = target;
    const count = topK.counts[i] ?? 0;
    const from = i * topK.k;
    job.answer.rows.set(topK.rows.subarray(from, from + count), query * job.width);
    job.answer.distances.set(topK.distances.subarray(from, from + count), query * job.width);
    job.answer.counts[query] = count;
    job.tally.scanned += eligibilityOf(job, query).count;
    job.tally.survivors += settled[i] ?? 0;
    if (by === "gpu") {
      job.tally.answeredByGpu++;
      return;
    }
    job.tally.answeredByCpu++;
    job.tally.rescans += rescans[i] ?? 0;
    if (certified[i] === 2) job.tally.certified++;
    else if (certified[i] === 1) job.tally.partlyCertified++;
    job.tally.directions = Math.max(job.tally.directions, directions);
  });
}
