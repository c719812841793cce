/**
 * Writes out the loops of a shader that are marked so: `for (var i = 0u; i < LIMIT; i++) { // unroll`.
 * What indexes a private array by the counter of such a loop indexes it by a constant, so the
 * compiler keeps the array in registers; where one loop is left a loop, it may put the whole array
 * into memory (gemm_f32 on an H200: a quarter of the speed or less). Marked or not, the source is
 * the same WGSL: a body becomes a block that begins with the counter as a `const`.
 */

/** Ends the line of a loop's head; the one comment that the build leaves in a shader. */
export const UNROLL_MARK: string = "// unroll";

/** LIMIT: a number, a constant of the header, or one of them divided by another. */
const HEAD = /for ?\(var (\w+) ?= ?0u; ?\1 < ([^;]+); ?\1\+\+\) ?\{ ?\/\/ unroll\n/;
const CONSTANT = /const (\w+) ?: ?u32 ?= ?(\d+)u;/g;

export function unrolled(source: string): string {
  const constants = new Map([...source.matchAll(CONSTANT)].map(([, name, value]) => [name ?? "", Number(value)]));
  const valueOf = (term: string): number => constants.get(term) ?? Number.parseInt(term, 10);
  const writeOut = (code: string): string => {
    const found = HEAD.exec(code);
    if (found === null) return code;
    const [head, counter = "", limit = ""] = found;
    const begin = found.index + head.length;
    const end = closingBrace(code, begin);
    const [count = 0, divisor = 1] = limit.split(" / ").map(valueOf);
    const body = writeOut(code.slice(begin, end));
    const blocks = Array.from({ length: count / divisor }, (_, i) => `{ const ${counter} = ${i}u;\n${body}}\n`);
    return code.slice(0, found.index) + blocks.join("") + writeOut(code.slice(end + 1));
  };
  return writeOut(source);
}

/** Where the block ends whose inside begins at `at`. Comments of the shaders hold no braces. */
function closingBrace(code: string, at: number): number {
  for (let depth = 1, i = at; i < code.length; i++) {
    if (code[i] === "{") depth++;
    else if (code[i] === "}" && --depth === 0) return i;
  }
  throw new Error("a loop of the shader does not end");
}
