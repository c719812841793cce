/** The scratch area of one worker slot in a chunk, as typed views. They are made anew when the memory has grown. */
import { COEFFICIENTS, coefficientPlane, scratchAt, type StoreShape } from "./layout.ts";
import type { ChunkMemory } from "./memory.ts";

export class Scratch {
  /** Byte offset of the area. */
  readonly base: number;
  readonly #shape: StoreShape;
  readonly #memory: ChunkMemory;
  #views: Views;

  constructor(shape: StoreShape, memory: ChunkMemory, slot: number) {
    this.base = scratchAt(shape, slot);
    this.#shape = shape;
    this.#memory = memory;
    this.#views = viewsOf(shape, memory.buffer, this.base);
  }

  get views(): Views {
    if (this.#views.buffer !== this.#memory.buffer) this.#views = viewsOf(this.#shape, this.#memory.buffer, this.base);
    return this.#views;
  }
}

interface Views {
  readonly buffer: ArrayBufferLike;
  /** [tileQueries × stride] words: as scanned in float32, and as given. */
  readonly scanQueries: Float32Array;
  readonly givenQueries: Uint32Array;
  /** [tileQueries] each. */
  readonly limits: Float32Array;
  readonly perNorms: Float32Array;
  /** [tileQueries × codes] 16-bit codes, or 7-bit ones in the first half. */
  readonly wideCodes: Int16Array;
  readonly sevenCodes: Uint8Array;
  /** Five arrays, `coefficientPlane` bytes apart. */
  readonly coefficients: Float32Array;
  readonly eligible: Uint32Array;
  readonly hits: Uint32Array;
  readonly estimates: Float32Array;
  readonly distances: Float32Array;
}

function viewsOf({ stride, blockRows, scratch }: StoreShape, buffer: ArrayBufferLike, base: number): Views {
  const { tileQueries } = scratch;
  const codes = scratch.coefficients - scratch.queryCodes;
  return {
    buffer,
    scanQueries: new Float32Array(buffer, base + scratch.scanQueries, tileQueries * stride),
    givenQueries: new Uint32Array(buffer, base + scratch.givenQueries, tileQueries * stride),
    limits: new Float32Array(buffer, base + scratch.limits, tileQueries),
    perNorms: new Float32Array(buffer, base + scratch.perNorms, tileQueries),
    wideCodes: new Int16Array(buffer, base + scratch.queryCodes, codes / 2),
    sevenCodes: new Uint8Array(buffer, base + scratch.queryCodes, codes),
    coefficients: new Float32Array(
      buffer,
      base + scratch.coefficients,
      (COEFFICIENTS * coefficientPlane(tileQueries)) / 4,
    ),
    eligible: new Uint32Array(buffer, base + scratch.eligible, scratch.spanPairs / 32 + tileQueries),
    hits: new Uint32Array(buffer, base + scratch.hits, scratch.spanPairs),
    estimates: new Float32Array(buffer, base + scratch.estimates, scratch.spanPairs),
    distances: new Float32Array(buffer, base + scratch.distances, blockRows),
  };
}
