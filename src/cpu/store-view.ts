/** The rows of one store as one thread sees them: which chunk memory holds which block. */
import type { CodeBasis, Encoder } from "./encoder.ts";
import type { Kernels } from "./kernels.ts";
import type { StoreShape } from "./layout.ts";
import type { ChunkMemory } from "./memory.ts";
import type { Scratch } from "./scratch.ts";

/** Where a block's rows are: a chunk memory and the block's index in it. */
export interface Chunk {
  readonly memory: ChunkMemory;
  readonly kernels: Kernels;
  readonly scratch: Scratch;
}

export interface Located {
  readonly chunk: Chunk;
  readonly index: number;
}

export class StoreView {
  readonly shape: StoreShape;
  /** What rows and queries are coded by, and what does it. */
  basis: CodeBasis | undefined;
  encoder: Encoder | undefined;
  /** The largest norm of a row that the running task may meet. */
  longest = 0;
  readonly #chunks: Chunk[] = [];
  readonly #placed = new Map<number, Located>();

  constructor(shape: StoreShape) {
    this.shape = shape;
  }

  setChunk(index: number, chunk: Chunk): void {
    this.#chunks[index] = chunk;
  }

  get chunkCount(): number {
    return this.#chunks.length;
  }

  /** Says that block `block` lies at `index` of chunk `chunk`, where it is not at its natural place. */
  place(block: number, chunk: number, index: number): void {
    this.#placed.set(block, { chunk: this.#chunk(chunk), index });
  }

  placement(block: number): Located | undefined {
    return this.#placed.get(block);
  }

  get placedCount(): number {
    return this.#placed.size;
  }

  locate(block: number): Located {
    return (
      this.#placed.get(block) ?? {
        chunk: this.#chunk(Math.floor(block / this.shape.blocksPerChunk)),
        index: block % this.shape.blocksPerChunk,
      }
    );
  }

  get firstChunk(): Chunk | undefined {
    return this.#chunks[0];
  }

  #chunk(index: number): Chunk {
    const chunk = this.#chunks[index];
    if (chunk === undefined) throw new Error(`chunk ${index} was never attached to this thread`);
    return chunk;
  }
}
