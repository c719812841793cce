/**
 * The known-answer probe of a GEMM variant, and its stopwatch. A compiler or driver that gets a
 * kernel wrong gets it wrong silently; so before a variant is used on a device it answers three
 * shapes of seeded data with tails in every direction, through its real epilogue, keys and
 * candidates both, and must agree with plain float64.
 */
import { systemClock } from "../core/clock.ts";
import { scanMargin } from "../core/margin.ts";
import type { FloatMetric, Metric, Precision } from "../core/metric.ts";
import { uniform } from "../core/random.ts";
import { Commands, type Dispatch } from "./commands.ts";
import { settle } from "./error-scopes.ts";
import { USAGE } from "./flags.ts";
import type { DeviceMemory } from "./memory.ts";
import { type Pipelines, QUADS, type TileShape, type Variant } from "./pipelines.ts";
import {
  type Asked,
  checkCandidates,
  checkKeys,
  codedAnswer,
  codedRows,
  medianLow,
  plainAnswer,
  plainRows,
} from "./probe-answers.ts";
import { QUERY_PARAM_WORDS } from "./query.ts";
import { ReadBackRing } from "./read-back.ts";
import type { Emit, GemmKernel } from "./shaders.ts";

/** A GEMM variant, but for what it scans and emits. */
export interface Gemm {
  readonly kernel: GemmKernel;
  readonly shape: { readonly tile: TileShape } & Pick<Variant, "sum" | "matrix">;
}

/** rows × elements × queries: below one tile, across tiles with tails, and just beyond a block of 32. */
const SHAPES = [
  { rows: 70, elements: 20, queries: 17 },
  { rows: 203, elements: 68, queries: 65 },
  { rows: 33, elements: 3, queries: 3 },
] as const;

/** Rows × elements × queries of a timed run: 32 MiB of float32 rows. */
const TIMED = { rows: 65_536, elements: 128, queries: 256 } as const;
const TIMED_RUNS = 3;
/** What a timed run shall take at least, so that it tells more than the round trip: on a fast device the scan is repeated for it. */
const TIMED_MS = 6;
const MOST_REPEATS = 64;

/** One shape's data, as the kernel reads it and as float64 sees it. */
interface Data extends Asked {
  readonly chunks: number;
  readonly words: number;
  readonly buffers: readonly GPUBuffer[];
  readonly queryFacts: GPUBuffer | undefined;
}

export class Probe {
  readonly #memory: DeviceMemory;
  readonly #pipelines: Pipelines;
  readonly #kernel: GemmKernel;
  readonly #shape: Gemm["shape"];
  readonly #isCoded: boolean;
  readonly #rounding: number;
  readonly #metric: Metric;
  readonly #precision: Precision;
  readonly #made: GPUBuffer[] = [];

  constructor(
    memory: DeviceMemory,
    pipelines: Pipelines,
    { kernel, shape }: Gemm,
    metric: Metric,
    precision: Precision,
    rounding: number = 2 ** -19,
  ) {
    this.#memory = memory;
    this.#pipelines = pipelines;
    this.#kernel = kernel;
    this.#shape = shape;
    this.#rounding = rounding;
    this.#isCoded = kernel === "gemm_i8" || kernel === "gemm_i8_matrix";
    this.#metric = metric;
    this.#precision = precision;
  }

  /** Rejects when the variant does not compile, WebGPU objects, or an answer is wrong. */
  async run(): Promise<void> {
    try {
      for (const shape of SHAPES) {
        const data = this.#data(shape.rows, shape.elements, shape.queries);
        const keys = await this.#dispatch(data, "keys", Infinity);
        const threshold = medianLow(data);
        const candidates = await this.#dispatch(data, "candidates", threshold);
        checkKeys(data, keys);
        checkCandidates(data, candidates, threshold);
      }
    } finally {
      this.#dispose();
    }
  }

  /** Milliseconds of one scan of the timed shape, the least of some runs after those that compile and size them. */
  async time(): Promise<number> {
    try {
      const data = this.#data(TIMED.rows, TIMED.elements, TIMED.queries, true);
      const run = async (repeats: number): Promise<number> => {
        const start = systemClock.now();
        await this.#dispatch(data, "candidates", -Infinity, repeats);
        return systemClock.now() - start;
      };
      await run(1);
      let repeats = 1;
      let least = await run(repeats);
      while (least < TIMED_MS && repeats < MOST_REPEATS) least = await run((repeats *= 2));
      for (let i = 1; i < TIMED_RUNS; i++) least = Math.min(least, await run(repeats));
      return least / repeats;
    } finally {
      this.#dispose();
    }
  }

  /** Lets go of the buffers, and of what WebGPU may have said of a run that failed otherwise: the next probe is not to blame. */
  #dispose(): void {
    void this.#memory.errors.take();
    for (const buffer of this.#made.splice(0)) this.#memory.destroy(buffer);
  }

  #buffer(data: ArrayBufferView<ArrayBuffer>): GPUBuffer {
    const usage = USAGE.storage | USAGE.copyDst | USAGE.copySrc;
    const buffer = this.#memory.create("probe", data.byteLength, usage);
    this.#made.push(buffer);
    this.#memory.write(buffer, 0, data);
    return buffer;
  }

  /** Runs the kernel; resolves with what it wrote: keys [queries × rows], or counts and lists of candidates. */
  async #dispatch(data: Data, emit: Emit, threshold: number, repeats = 1): Promise<Uint32Array> {
    const { rows, queries, chunks, words } = data;
    const states = new Uint32Array(queries * 4);
    const thresholds = new Float32Array(states.buffer);
    for (let q = 0; q < queries; q++) thresholds[q * 4] = Math.max(-(2 ** 126), Math.min(2 ** 126, threshold));
    const stateBuffer = this.#buffer(states);
    const isTimed = rows === TIMED.rows;
    const output = this.#buffer(new Uint32Array(isTimed ? queries : queries * rows));
    const emitted = emit === "keys" ? [output, stateBuffer] : [stateBuffer, output];
    const { tile } = this.#shape;
    const variant: Variant = {
      metric: this.#metric,
      emit,
      facts: factsOf(this.#isCoded, this.#metric, this.#precision),
      ...(this.#isCoded ? { rounding: this.#rounding } : { precision: this.#precision }),
      ...this.#shape,
    };
    const kernel = await this.#pipelines.get(this.#kernel, variant);
    const commands = new Commands(this.#memory, { submits: 0, dispatches: 0, bindGroupsCreated: 0, kernels: {} });
    const ring = new ReadBackRing(this.#memory);
    const tiles = Math.ceil(rows / tile.rows);
    try {
      const dispatch: Dispatch = {
        kernel,
        params: [rows, chunks, queries, tiles, 0, 1, 0, words, 0, rows, 0, 0, 0, isTimed ? 1 : rows],
        buffers: [...data.buffers, ...emitted, ...(data.queryFacts === undefined ? [] : [data.queryFacts])],
        grid: { x: tiles, y: 1 },
        z: Math.ceil(queries / tile.queries),
      };
      for (let i = 0; i < repeats; i++) commands.dispatch(dispatch);
      const lists = await ring.read(commands, output, output.size);
      const counts = emit === "keys" ? new Uint32Array(0) : await ring.read(commands, stateBuffer, stateBuffer.size);
      await settle(this.#memory.errors.take());
      const all = new Uint32Array(counts.length + lists.length);
      all.set(counts);
      all.set(lists, counts.length);
      return all;
    } finally {
      ring.dispose();
      commands.dispose();
    }
  }

  #data(rows: number, elements: number, queries: number, isTimed = false): Data {
    const draw = uniform(rows * 7919 + elements);
    const isCoded = this.#isCoded;
    const isHalved = this.#kernel === "gemm_f16_matrix";
    const perChunk = isCoded ? 16 : QUADS[this.#precision] * 4;
    const chunks = Math.ceil(elements / perChunk);
    const words = Math.ceil(rows / 32);
    const bits = new Uint32Array(words);
    for (let row = 0; row < rows; row++) if (draw() < 0.8) bits[row >> 5] = (bits[row >> 5] ?? 0) | (1 << (row & 31));
    const isEligible = (row: number): boolean => (((bits[row >> 5] ?? 0) >>> (row & 31)) & 1) === 1;
    const made = isCoded
      ? codedRows(rows, elements, chunks, draw, isTimed)
      : plainRows(this.#precision, rows, elements, chunks, draw, isTimed);
    const queryChunks = isCoded || isHalved ? chunks : (chunks * perChunk) / 4;
    const asked = isCoded
      ? codedRows(queries, elements, queryChunks, draw, isTimed, false)
      : plainRows(isHalved ? "f16" : "f32", queries, elements, queryChunks, draw, isTimed, false);
    const coarse = isHalved ? 0.25 : 0;
    const params = new Uint32Array(queries * QUERY_PARAM_WORDS);
    const floats = new Float32Array(params.buffer);
    const margin = isCoded ? undefined : scanMargin(this.#metric as FloatMetric, elements, 1, 1);
    for (let q = 0; q < queries; q++) {
      floats.set(
        [margin?.relative ?? 0, margin?.perNorm ?? 0, margin?.absolute ?? 0, -(2 ** 125), 2 ** 125, 2 ** 125],
        q * QUERY_PARAM_WORDS,
      );
      params[q * QUERY_PARAM_WORDS + 6] = 1;
      floats.set([1, coarse], q * QUERY_PARAM_WORDS + 8);
    }
    const facts = factsOf(isCoded, this.#metric, this.#precision);
    const rowFacts = new Float32Array(rows * facts);
    for (let row = 0; row < rows; row++) {
      rowFacts[row * facts] = isCoded ? made.scale : 0.75;
      if (!isCoded && facts === 2) rowFacts[row * facts + 1] = made.scale;
      if (isCoded && facts === 3) rowFacts[row * facts + 2] = 2;
    }
    const queryFacts = new Float32Array(queries * 8);
    for (let q = 0; q < queries; q++) queryFacts.set([asked.scale, 0, 0.125, 0, 3, 1], q * 8);
    return {
      rows,
      queries,
      chunks,
      words,
      buffers: [
        this.#buffer(made.bytes),
        this.#buffer(rowFacts),
        this.#buffer(asked.bytes),
        this.#buffer(params),
        this.#buffer(bits),
      ],
      queryFacts: isCoded ? this.#buffer(queryFacts) : undefined,
      isEligible,
      ...(isCoded
        ? codedAnswer(this.#metric, made, asked, elements)
        : plainAnswer(this.#metric, made, asked, elements, coarse)),
    };
  }
}

function factsOf(isCoded: boolean, metric: Metric, precision: Precision): number {
  if (!isCoded) return precision === "i8" ? 2 : 1;
  return metric === "cosine" ? 2 : 3;
}
