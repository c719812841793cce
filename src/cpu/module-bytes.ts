/**
 * WASM modules as bytes: the few facts of the binary format (WebAssembly core specification 5.5)
 * that lets one build serve two kinds of memory and one file carry two builds. Pure.
 *
 *   module = magic and version, 8 bytes | section*
 *   section = id, 1 byte | size of the content, LEB128 | content
 */

const MAGIC = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const CUSTOM = 0;
const IMPORTS = 2;
/** 64 KiB each: the whole address space of 32-bit memory. */
const MAX_PAGES = 65_536;

interface Section {
  readonly id: number;
  /** Where the section begins, its content begins, and both end. */
  readonly start: number;
  readonly content: number;
  readonly end: number;
}

/**
 * The same module, importing shared memory. It must import one memory and nothing else, with a
 * minimum and no maximum, which is how the kernels are built; the code is the same for both.
 */
export function withSharedMemory(module: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const section = sectionsOf(module).find(({ id }) => id === IMPORTS);
  if (section === undefined) throw new Error("a WASM module without imports");
  const reader = new Reader(module, section.content);
  const count = reader.number();
  reader.skip(reader.number()); // module name
  reader.skip(reader.number()); // field name
  const kind = reader.at;
  const isUnsharedMemory = module[kind] === 2 && module[kind + 1] === 0;
  reader.skip(2);
  const minimum = reader.number();
  if (count !== 1 || !isUnsharedMemory || reader.at !== section.end) {
    throw new Error("a WASM module that imports other things than one unshared memory without a maximum");
  }
  const limits = [2, 3, ...leb128(minimum), ...leb128(MAX_PAGES)]; // a memory, shared, with a maximum
  const size = leb128(kind - section.content + limits.length);
  return joined(
    module.subarray(0, section.start),
    [IMPORTS, ...size],
    module.subarray(section.content, kind),
    limits,
    module.subarray(section.end),
  );
}

/** The module with `payload` appended as a custom section, which engines ignore. */
export function withCustomSection(module: Uint8Array, name: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const title = new TextEncoder().encode(name);
  const length = leb128(title.length);
  const size = leb128(length.length + title.length + payload.length);
  return joined(module, [CUSTOM, ...size], length, title, payload);
}

/** What the custom section `name` holds, or undefined where there is none. Throws on what is not a WASM module. */
export function customSection(module: Uint8Array<ArrayBuffer>, name: string): Uint8Array<ArrayBuffer> | undefined {
  for (const { id, content, end } of sectionsOf(module)) {
    if (id !== CUSTOM) continue;
    const reader = new Reader(module, content);
    const length = reader.number();
    const payload = reader.at + length;
    if (new TextDecoder().decode(module.subarray(reader.at, payload)) === name) return module.slice(payload, end);
  }
  return undefined;
}

function sectionsOf(module: Uint8Array): Section[] {
  if (!MAGIC.every((byte, i) => module[i] === byte)) throw new Error("not a WASM module");
  const sections: Section[] = [];
  const reader = new Reader(module, MAGIC.length);
  while (reader.at < module.length) {
    const start = reader.at;
    const id = module[start] ?? CUSTOM;
    reader.skip(1);
    const size = reader.number();
    const content = reader.at;
    reader.skip(size);
    sections.push({ id, start, content, end: reader.at });
  }
  return sections;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  skip(count: number): void {
    this.#at += count;
    if (this.#at > this.#bytes.length) throw new Error("a WASM module that ends early");
  }

  /** An unsigned 32-bit number in LEB128. */
  number(): number {
    let value = 0;
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.#bytes[this.#at] ?? 0;
      this.skip(1);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error("a WASM module with a number of more than 32 bits");
  }
}

function leb128(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

function joined(...parts: readonly ArrayLike<number>[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
