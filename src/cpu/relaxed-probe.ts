/**
 * Known answers for the relaxed kernels, before they are trusted. What relaxed instructions give is
 * partly the engine's choice, scan_i8 relies on the part that is not, and engines have erred: the
 * baseline compiler of V8 11.3 (Node 20, behind a flag) multiplies wrong now and then.
 */

const ROWS = 3;
const STRIDE = 48;
/** Byte offsets, and from one array of facts or coefficients to the next. */
const [CODES, FACTS, QUERIES, COEFFICIENTS, ELIGIBLE, HITS] = [0, 1024, 2048, 4096, 5120, 6144];
const PLANE = 64;

/** As the module exports it: see assembly/scan_i8.ts. */
export type ScanI8 = (
  codes: number,
  stride: number,
  facts: number,
  plane: number,
  rowCount: number,
  queries: number,
  queryCount: number,
  coefficients: number,
  coefficientPlane: number,
  weight: number,
  eligible: number,
  words: number,
  hits: number,
) => number;

/** Whether scan_i8 of a relaxed build for unshared memory multiplies right: by fours of queries and one by one. */
export async function isProven(relaxed: WebAssembly.Module): Promise<boolean> {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = await WebAssembly.instantiate(relaxed, { env: { memory } });
  // The module is ours and built with this export.
  const scan = exports["scan_i8"] as ScanI8;
  const rows = new Int8Array(memory.buffer, CODES, ROWS * STRIDE);
  const sums = new Int32Array(memory.buffer, FACTS + 4 * PLANE, ROWS);
  for (let r = 0; r < ROWS; r++) {
    for (let i = 0; i < STRIDE; i++) {
      const code = ((r * 89 + i * 53) % 255) - 127;
      rows[r * STRIDE + i] = code;
      sums[r] = (sums[r] ?? 0) + code;
    }
  }
  new Float32Array(memory.buffer, FACTS, ROWS).fill(1);
  new Uint32Array(memory.buffer, ELIGIBLE, 1).fill(0xffffffff);
  // Product 1 and limit −t: a pair is let through when its Σ is at least t. So Σ − 1, Σ and Σ + 1 tell it exactly.
  for (const queries of [4, 5]) {
    const codes = Array.from({ length: queries * STRIDE }, (_, i) => ((i * 37 + queries) % 127) - 63);
    new Uint8Array(memory.buffer, QUERIES, codes.length).set(codes.map((code) => code + 64));
    new Float32Array(memory.buffer, COEFFICIENTS, queries).fill(1);
    const limits = new Float32Array(memory.buffer, COEFFICIENTS + 4 * PLANE, queries);
    for (let r = 0; r < ROWS; r++) {
      for (let q = 0; q < queries; q++) {
        let sum = 0;
        for (let i = 0; i < STRIDE; i++) sum += (rows[r * STRIDE + i] ?? 0) * (codes[q * STRIDE + i] ?? 0);
        for (const [threshold, isIn] of [
          [sum, true],
          [sum + 1, false],
        ] as const) {
          limits.fill(-threshold);
          const count = scan(
            CODES,
            STRIDE,
            FACTS,
            PLANE,
            ROWS,
            QUERIES,
            queries,
            COEFFICIENTS,
            PLANE,
            0,
            ELIGIBLE,
            0,
            HITS,
          );
          const hits = new Uint32Array(memory.buffer, HITS, count);
          if (hits.includes((q << 16) | r) !== isIn) return false;
        }
      }
    }
  }
  return true;
}
