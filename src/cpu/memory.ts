/**
 * Memory of one chunk: shared WASM memory where workers may see it, WASM memory of one thread
 * where they may not, a plain buffer where there is no WASM at all. Grows, never shrinks; whoever
 * keeps a view must make it anew after a growth, because `buffer` changes (unshared WASM memory
 * even detaches the old one).
 */

const PAGE = 65_536;

export interface ChunkMemory {
  readonly buffer: ArrayBufferLike;
  /** Present where WASM kernels can be bound to it. */
  readonly wasm?: WebAssembly.Memory;
  readonly isShared: boolean;
  /** Grows to at least `bytes`. Throws RangeError when the platform has no more. */
  ensure(bytes: number): void;
}

/** Memory that several threads can see; `maxBytes` reserves address space, not memory. */
export function sharedMemory(bytes: number, maxBytes: number): ChunkMemory {
  const pages = Math.ceil(bytes / PAGE);
  return wasmMemory(
    new WebAssembly.Memory({ initial: pages, maximum: Math.ceil(maxBytes / PAGE), shared: true }),
    true,
  );
}

/** Shared memory that another thread created. */
export function attachedMemory(memory: WebAssembly.Memory): ChunkMemory {
  return wasmMemory(memory, true);
}

/** Memory of this thread alone. */
export function ownMemory(bytes: number): ChunkMemory {
  if (typeof WebAssembly !== "object") return plainMemory(bytes);
  return wasmMemory(new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) }), false);
}

function wasmMemory(wasm: WebAssembly.Memory, isShared: boolean): ChunkMemory {
  return {
    wasm,
    isShared,
    get buffer() {
      return wasm.buffer;
    },
    ensure(bytes) {
      const missing = bytes - wasm.buffer.byteLength;
      if (missing > 0) wasm.grow(Math.ceil(missing / PAGE));
    },
  };
}

function plainMemory(bytes: number): ChunkMemory {
  let buffer = new ArrayBuffer(bytes);
  return {
    isShared: false,
    get buffer() {
      return buffer;
    },
    ensure(needed) {
      if (buffer.byteLength >= needed) return;
      const grown = new ArrayBuffer(needed);
      new Uint8Array(grown).set(new Uint8Array(buffer));
      buffer = grown;
    },
  };
}
