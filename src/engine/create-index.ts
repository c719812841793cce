/**
 * Opening an index: options checked, backend chosen (the policy), parts put together. The entries
 * bind it to their platform's parts; nothing here knows which platform that is.
 */
import type {
  ExactBackend,
  LearnDirections,
  OpenProposer,
  ProposerFactory,
  ProposerRequest,
  Rows,
} from "../core/backend.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { NearfieldError } from "../core/errors.ts";
import { type EventSink, safeSink } from "../core/events.ts";
import { LIMITS, RECOVERY_DELAYS_MS } from "../core/limits.ts";
import { WorkSlices } from "../core/slices.ts";
import { GpuSession } from "./gpu-session.ts";
import type { IndexOptions } from "./contract.ts";
import { type ResolvedOptions, resolveOptions } from "./options.ts";
import { Index } from "./vector-index.ts";

/** Knobs for tests and experiments, set through `nearfield/testing`; not part of the contract. */
export interface Internals {
  readonly clock?: Clock;
  /** The most that CPU kernels may use: plain JS, or WASM SIMD without its relaxed instructions. */
  readonly kernels?: "js" | "simd128";
  /** False: workers hold copies of the rows, as on pages without cross-origin isolation. */
  readonly sharesMemory?: boolean;
  /** False: search in slices on the caller's thread. */
  readonly usesWorkers?: boolean;
  /** Small CPU sizes, to reach codes, directions and many blocks with few rows. */
  readonly cpu?: Readonly<Record<string, number>>;
  /** Small GPU limits, to reach sharding, streaming, tiling and rescans with few rows. */
  readonly gpu?: Readonly<Record<string, number>>;
  readonly recoveryDelaysMs?: readonly number[];
}

const INTERNALS = Symbol.for("nearfield.internals");

/** Attaches internals to the options of `createIndex` or `openCollection`. */
export function withInternals<T extends object>(options: T, internals: Internals): T {
  return Object.assign({ ...options }, { [INTERNALS]: internals });
}

function internalsOf(options: IndexOptions): Internals {
  const internals: unknown = Reflect.get(options, INTERNALS);
  return typeof internals === "object" && internals !== null ? internals : {};
}

/** What a platform brings. */
export interface Platform {
  readonly defaultThreads: number;
  openExact(options: ResolvedOptions, internals: Internals, slices: WorkSlices, emit: EventSink): Promise<ExactBackend>;
  gpuFactory(slices: WorkSlices, internals: Internals, emit: EventSink, learn: LearnDirections): ProposerFactory;
}

export async function createIndexOn(platform: Platform, options: IndexOptions): Promise<Index> {
  const resolved = resolveOptions(options, platform.defaultThreads);
  const internals = internalsOf(options);
  const clock = internals.clock ?? systemClock;
  const emit = safeSink(resolved.onEvent);
  const slices = new WorkSlices(clock, LIMITS.sliceElements);
  let workers: ExactBackend | undefined;
  // The proposer knows no stores but this backend's, and none before it is there.
  const learn: LearnDirections = async (source, request, isStopped) =>
    workers?.learn(source as Rows, request, isStopped);
  const choice = await chooseBackend(resolved, platform.gpuFactory(slices, internals, emit, learn));
  const session =
    choice.kind === "cpu"
      ? undefined
      : new GpuSession(choice.open, {
          factory: choice.factory,
          request: choice.request,
          clock,
          emit,
          recoveryDelaysMs: internals.recoveryDelaysMs ?? RECOVERY_DELAYS_MS,
        });
  const exact = await platform.openExact(resolved, internals, slices, emit).catch((error: unknown) => {
    session?.close();
    throw error;
  });
  workers = exact;
  const index = new Index({
    ...resolved,
    exact,
    session,
    cpuReason: choice.kind === "cpu" ? choice.reason : "",
    emit,
    clock,
    slices,
  });
  announce(index, emit);
  return index;
}

type Choice =
  | { readonly kind: "cpu"; readonly reason: string }
  | {
      readonly kind: "gpu";
      readonly open: OpenProposer;
      readonly factory: ProposerFactory;
      /** How to open another device, should this one be lost. */
      readonly request: ProposerRequest;
    };

/** The policy: `"gpu"` takes any adapter or rejects; `"auto"` takes the caller's device or a real adapter, else the CPU, and says why. */
async function chooseBackend(options: ResolvedOptions, factory: ProposerFactory): Promise<Choice> {
  const { backend, device, memoryBudgetBytes, scan } = options;
  if (backend === "cpu") return { kind: "cpu", reason: 'backend "cpu" was asked for' };
  const again: ProposerRequest = {
    acceptSoftware: backend === "gpu",
    memoryBudgetBytes,
    scan,
    reason: backend === "gpu" ? 'backend "gpu" was asked for' : "a WebGPU adapter is present",
  };
  const request = device === undefined ? again : { ...again, device, reason: "the caller's device" };
  const result = await factory(request);
  if ("open" in result) return { kind: "gpu", open: result.open, factory, request: again };
  if (backend === "auto") return { kind: "cpu", reason: result.refused };
  throw new NearfieldError("BACKEND_UNAVAILABLE", {
    got: `backend "gpu" where ${result.refused}`,
    expected: "a WebGPU adapter",
    remedy: 'use backend "auto" or "cpu", or install a GPU driver (Vulkan, Metal or D3D12)',
    cause: result.cause,
  });
}

function announce(index: Index, emit: EventSink): void {
  const { kind, name, reason, software } = index.backend;
  emit({
    code: "backend-selected",
    level: "info",
    message: `searches run on the ${kind === "gpu" ? "GPU" : "CPU"} (${name}): ${reason}`,
  });
  if (!software) return;
  emit({
    code: "backend-software",
    level: "warning",
    message: `${name} is a software rasteriser: results are exact, but slower than backend "cpu"`,
  });
}
