/**
 * No number for a wrong answer: a few queries of each case are answered a second time by something
 * that shares nothing with the engine. The device makes every row anew and lists those near enough
 * (brute.wgsl, an estimate with a margin far above its rounding); the host computes the canonical
 * distances of the listed rows in float64 and takes the k best by (distance, row). Membership,
 * order and distances must be equal, bit for bit. Small indexes are settled without the estimate
 * too. Every other query of the batch is checked for shape only: order, range, no row twice.
 */
import { type ReferenceHit, referenceDistance } from "../../src/core/reference.ts";
import { type Answer, rankProblem, shapeProblem } from "../answers.ts";
import bruteCode from "./brute.wgsl?raw";
import type { Case } from "./cases.ts";
import { COLUMNS, ROW_CODE, rowHeader, type RowGenerator } from "./data.ts";
import { BUFFER, compile, MAP_READ, storage, uniform } from "./kernel.ts";
import { packedHamming, storedRow } from "./stored.ts";

/** Rows that the estimate may list for a query; more, and the check says that it could not be made. */
const CAPACITY = 1 << 16;
/** Indexes of at most so many elements are settled wholly in float64 as well: half a second on the host. */
const SMALL_ELEMENTS = 1 << 20;
/** Rows of one submit of the estimate: well below a second on any GPU worth timing. */
const SUBMIT_ROWS = 1 << 20;
/** What rule 3 allows above k = 256 for cosine. */
const BOUNDARY = 1e-6;

const PRECISION_CODE = { f32: 0, f16: 1, i8: 2, b1: 3 } as const;

/** What is wrong with the answer, or undefined. `queries`: the batch, [batch × dimensions]. */
export async function findProblem(
  generator: RowGenerator,
  c: Case,
  queries: Float32Array,
  answer: Answer,
): Promise<string | undefined> {
  const problem = shapeProblem(answer, c);
  if (problem !== undefined) return problem;
  const picked = pickQueries(c.batch);
  const limits = picked.map((q) => (answer.distances[q * answer.k + answer.k - 1] ?? 0) + marginOf(c));
  const lists = await nearRows(
    generator,
    c,
    picked.map((q) => queryOf(queries, c, q)),
    limits,
  );
  if (c.rows * c.dimensions <= SMALL_ELEMENTS) {
    const all = Uint32Array.from({ length: c.rows }, (_, row) => row);
    lists.push(...picked.map(() => all));
    picked.push(...picked);
  }
  for (const [i, q] of picked.entries()) {
    const rows = lists[i];
    if (rows === undefined) return `query ${q}: more than ${CAPACITY} rows are about as near as the ${c.k}-th`;
    const wanted = await nearest(generator, c, queryOf(queries, c, q), rows);
    const difference = rankProblem(answer, q, wanted, BOUNDARY);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

/** First, last and two between: as many as brute.wgsl takes at once. */
function pickQueries(batch: number): number[] {
  return [...new Set([0, Math.floor(batch / 3), Math.floor((2 * batch) / 3), batch - 1])];
}

function queryOf(queries: Float32Array, { dimensions }: Case, q: number): Float32Array {
  return queries.subarray(q * dimensions, (q + 1) * dimensions);
}

/**
 * Twice the estimate's error at the very least: sums of d rounded products, relative to norms that
 * cosine divides away ((d + 8) · 2⁻²³, doubled for rounding of the norms); f16 and i8 may round a
 * tie the other way than the store does, in single elements. Hamming is exact.
 */
function marginOf({ precision, dimensions }: Case): number {
  if (precision === "b1") return 0.5;
  return (dimensions + 8) * 2 ** -22 + (precision === "f32" ? 0 : 2e-4);
}

/** For each query the rows whose estimate is within its limit; undefined for one with too many. */
async function nearRows(
  generator: RowGenerator,
  c: Case,
  queries: readonly Float32Array[],
  limits: readonly number[],
): Promise<(Uint32Array | undefined)[]> {
  const { device, dimensions } = generator;
  const header = `${rowHeader(dimensions)}const PRECISION = ${PRECISION_CODE[c.precision]}u;\nconst CAPACITY = ${CAPACITY}u;\n`;
  const kernel = await compile(device, "brute", header + ROW_CODE + bruteCode);
  const upload = (label: string, values: Float32Array<ArrayBuffer>): GPUBuffer => {
    const buffer = storage(device, label, values.byteLength, BUFFER.copyDst);
    device.queue.writeBuffer(buffer, 0, values);
    return buffer;
  };
  // Four queries, element by element; unused components get a limit that no distance reaches.
  const interleaved = new Float32Array(dimensions * 4);
  const bounds = new Float32Array(8).fill(-1, 0, 4);
  queries.forEach((query, i) => {
    query.forEach((value, j) => {
      interleaved[j * 4 + i] = value;
    });
    bounds[i] = limits[i] ?? -1;
    bounds[4 + i] = 1 / Math.hypot(...query);
  });
  const counts = storage(device, "brute counts", 16, BUFFER.copySrc);
  const found = storage(device, "brute found", 4 * CAPACITY * 4, BUFFER.copySrc);
  const readable = device.createBuffer({
    label: "brute read-back",
    size: 16 + 4 * CAPACITY * 4,
    usage: BUFFER.mapRead | BUFFER.copyDst,
  });
  const inputs = [upload("brute queries", interleaved), upload("brute limits", bounds)];
  const owned = [counts, found, readable, ...inputs];
  try {
    for (let first = 0; first < c.rows; first += SUBMIT_ROWS) {
      const count = Math.min(SUBMIT_ROWS, c.rows - first);
      const params = uniform(device, "brute params", [first, count, COLUMNS]);
      owned.push(params);
      const encoder = device.createCommandEncoder({ label: "brute" });
      const pass = encoder.beginComputePass({ label: "brute" });
      pass.setPipeline(kernel.pipeline);
      pass.setBindGroup(0, kernel.bind(params, generator.spectrum, ...inputs, counts, found));
      pass.dispatchWorkgroups(Math.min(count, COLUMNS), Math.ceil(count / COLUMNS));
      pass.end();
      if (first + count === c.rows) {
        encoder.copyBufferToBuffer(counts, 0, readable, 0, 16);
        encoder.copyBufferToBuffer(found, 0, readable, 16, 4 * CAPACITY * 4);
      }
      device.queue.submit([encoder.finish()]);
    }
    await readable.mapAsync(MAP_READ);
    const words = new Uint32Array(readable.getMappedRange()).slice();
    readable.unmap();
    return queries.map((_, i) => {
      const listed = words[i] ?? 0;
      return listed > CAPACITY ? undefined : words.slice(4 + i * CAPACITY, 4 + i * CAPACITY + listed).sort();
    });
  } finally {
    for (const buffer of owned) buffer.destroy();
  }
}

/** The k best of these rows by (canonical distance, row), in float64 from the stored values. */
async function nearest(
  generator: RowGenerator,
  { precision, k, dimensions }: Case,
  query: Float32Array,
  numbers: Uint32Array,
): Promise<ReferenceHit[]> {
  const floats = await generator.rows(numbers);
  const ranked = Array.from(numbers, (row, i): ReferenceHit => {
    const vector = floats.subarray(i * dimensions, (i + 1) * dimensions);
    const distance =
      precision === "b1"
        ? packedHamming(query, vector)
        : referenceDistance("cosine", query, storedRow(precision, vector));
    return { row, distance };
  });
  return ranked.sort((a, b) => a.distance - b.distance || a.row - b.row).slice(0, k);
}
