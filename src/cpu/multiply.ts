/**
 * `product` of core/product.ts by the kernel product_f64, three to four times as fast: for learning
 * in a worker. Panels of the operands are copied to a memory of its own, which goes with it.
 */
import { mirror, type Multiply, type Rows, zeroRows } from "../core/product.ts";
import { ownMemory } from "./memory.ts";

/** Elements of a row in one pass, and rows of b: 128 KiB of L2, which many groups of a's rows then meet there. */
const PASS = 512;
const PANEL = 32;
/** Rows of a at once. */
const GROUP = 4;

/** Byte offsets. */
const A = 16;
const B: number = A + GROUP * PASS * 8;
const OUT: number = B + PANEL * PASS * 8;
const END: number = OUT + GROUP * PANEL * 8;

interface ProductExports {
  product_f64(a: number, b: number, columns: number, length: number, out: number): void;
}

/** `module`: the kernels. Yields as `product` does. */
export function kernelMultiply(module: WebAssembly.Module): Multiply {
  const memory = ownMemory(END);
  const { wasm, buffer } = memory;
  if (wasm === undefined) throw new Error("bug: kernels without WebAssembly");
  const instance = new WebAssembly.Instance(module, { env: { memory: wasm } });
  // The module is ours and built with this export; WebAssembly's types cannot know.
  const kernel = instance.exports as unknown as ProductExports;
  const views = {
    a: new Float64Array(buffer, A, GROUP * PASS),
    b: new Float64Array(buffer, B, PANEL * PASS),
    out: new Float64Array(buffer, OUT, GROUP * PANEL),
  };

  return function* multiply(a: Rows, b: Rows, symmetric = false): Generator<number, Rows> {
    const out = zeroRows(a.rows, b.rows);
    for (let from = 0; from < a.length; from += PASS) {
      const to = Math.min(a.length, from + PASS);
      const length = to - from + ((to - from) & 1);
      for (let j = 0; j < b.rows; j += PANEL) {
        const columns = Math.min(PANEL, b.rows - j);
        load(b, j, columns, from, to, views.b, length);
        // Of a symmetric result only what is on and below the diagonal; panels begin at multiples of a group.
        for (let i = symmetric ? j : 0; i < a.rows; i += GROUP) {
          const rows = Math.min(GROUP, a.rows - i);
          load(a, i, rows, from, to, views.a, length);
          // An odd column more, and rows that are missing, are of what was there before, and left there.
          const width = columns + (columns & 1);
          kernel.product_f64(A, B, width, length, OUT);
          for (let row = 0; row < rows; row++) {
            const at = (i + row) * out.length + j;
            for (let column = 0; column < columns; column++) {
              out.data[at + column]! += views.out[row * width + column]!; // inside the arrays
            }
          }
          yield GROUP * width * length;
        }
      }
    }
    if (symmetric) yield* mirror(out);
    return out;
  };
}

/** Copies columns `from … to` of rows `first … first + count` to `target` [count × length], `length` being even. */
function load(
  { data, length: n }: Rows,
  first: number,
  count: number,
  from: number,
  to: number,
  target: Float64Array,
  length: number,
): void {
  for (let row = 0; row < count; row++) {
    const at = (first + row) * n;
    target.set(data.subarray(at + from, at + to), row * length);
    if (length > to - from) target[(row + 1) * length - 1] = 0;
  }
}
