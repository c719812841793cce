/**
 * Writes out the loops of a shader that are marked so: `for (var i = 0u; i < LIMIT; i++) { // unroll`.
 * What indexes a private array by the counter of such a loop indexes it by a constant, so the
 * compiler keeps the array in registers; where one loop is left a loop, it may put the whole array
 * into memory (on an H200 a GEMM then reaches a sixteenth of its speed). Marked or not, the source
 * is the same WGSL: a body becomes a block that begins with the counter as a `const`.
 */

/** LIMIT: a number, a constant of the header, or one of them divided by another. The brace that ends the loop stands below its `for`. */
const LOOP = /^( *)for \(var (\w+) = 0u; \2 < ([^;]+); \2\+\+\) \{ \/\/ unroll\n([\s\S]*?)^\1\}\n/m;
const CONSTANT = /const (\w+) : u32 = (\d+)u;/g;

export function unrolled(source: string): string {
  const constants = new Map([...source.matchAll(CONSTANT)].map(([, name, value]) => [name ?? "", Number(value)]));
  const valueOf = (term: string): number => constants.get(term) ?? Number.parseInt(term, 10);
  const writeOut = (code: string): string => {
    const found = LOOP.exec(code);
    if (found === null) return code;
    const [loop, indent = "", counter = "", limit = "", body = ""] = found;
    const [count = 0, divisor = 1] = limit.split(" / ").map(valueOf);
    const blocks = Array.from(
      { length: count / divisor },
      (_, i) => `${indent}{\n${indent}  const ${counter} = ${i}u;\n${writeOut(body)}${indent}}\n`,
    );
    const after = code.slice(found.index + loop.length);
    return code.slice(0, found.index) + blocks.join("") + writeOut(after);
  };
  return writeOut(source);
}
