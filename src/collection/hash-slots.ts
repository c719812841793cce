/**
 * Finds the number of a byte string: rows by id, dictionary codes by text. Open addressing in
 * typed arrays, 8 bytes a slot (number and hash), without a string or object for each key. The
 * bytes themselves stay where they are; the owner compares them.
 *
 * Split into 256 shards by the hash's high bits: each doubles on its own, so that no insertion
 * moves more than a 256th of the table, where one large table would stop the thread for 30 ms at a
 * million keys. Linear probing; removal shifts back what follows, so there are no tombstones.
 */

/** Where the bytes of numbers are. */
export interface NumberedBytes {
  isSame(number: number, bytes: Uint8Array, start: number, end: number): boolean;
}

interface Shard {
  /** number + 1; 0 where free. */
  numbers: Uint32Array;
  hashes: Uint32Array;
  used: number;
}

export const NONE = -1;

const SHARDS = 256;
const FIRST_SLOTS = 8;

export class HashSlots {
  readonly #keys: NumberedBytes;
  readonly #shards: (Shard | undefined)[] = Array.from({ length: SHARDS }, () => undefined);
  #slots = 0;

  constructor(keys: NumberedBytes) {
    this.#keys = keys;
  }

  get sizeBytes(): number {
    return this.#slots * 8;
  }

  /** The number of these bytes, or NONE. */
  find(hash: number, bytes: Uint8Array, start: number, end: number): number {
    const shard = this.#shards[hash >>> 24];
    return shard === undefined ? NONE : (shard.numbers[this.#slotOf(shard, hash, bytes, start, end)] ?? 0) - 1;
  }

  /** Gives these bytes a number; returns the one they had, or NONE. */
  put(hash: number, bytes: Uint8Array, start: number, end: number, number: number): number {
    const shard = this.#shards[hash >>> 24] ?? this.#begin(hash >>> 24);
    const slot = this.#slotOf(shard, hash, bytes, start, end);
    const before = (shard.numbers[slot] ?? 0) - 1;
    shard.numbers[slot] = number + 1;
    shard.hashes[slot] = hash;
    if (before === NONE && ++shard.used * 4 > shard.numbers.length * 3) this.#grow(shard);
    return before;
  }

  /** Forgets the bytes with this hash and number; false when there are none. */
  remove(hash: number, number: number): boolean {
    const shard = this.#shards[hash >>> 24];
    if (shard === undefined) return false;
    const { numbers, hashes } = shard;
    const mask = numbers.length - 1;
    let hole = hash & mask;
    while (numbers[hole] !== number + 1) {
      if (numbers[hole] === 0) return false;
      hole = (hole + 1) & mask;
    }
    shard.used--;
    for (let next = (hole + 1) & mask; numbers[next] !== 0; next = (next + 1) & mask) {
      // What lies at or after its home and beyond the hole stays: moving it back would put it before its home.
      const home = (hashes[next] ?? 0) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      numbers[hole] = numbers[next] ?? 0;
      hashes[hole] = hashes[next] ?? 0;
      hole = next;
    }
    numbers[hole] = 0;
    return true;
  }

  /** The slot that holds these bytes, else the free one where they belong. */
  #slotOf(shard: Shard, hash: number, bytes: Uint8Array, start: number, end: number): number {
    const { numbers, hashes } = shard;
    const mask = numbers.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = numbers[slot] ?? 0;
      if (number === 0) return slot;
      if (hashes[slot] === hash && this.#keys.isSame(number - 1, bytes, start, end)) return slot;
    }
  }

  #begin(index: number): Shard {
    const shard = { numbers: new Uint32Array(FIRST_SLOTS), hashes: new Uint32Array(FIRST_SLOTS), used: 0 };
    this.#shards[index] = shard;
    this.#slots += FIRST_SLOTS;
    return shard;
  }

  #grow(shard: Shard): void {
    const { numbers, hashes } = shard;
    const mask = numbers.length * 2 - 1;
    shard.numbers = new Uint32Array(mask + 1);
    shard.hashes = new Uint32Array(mask + 1);
    this.#slots += numbers.length;
    for (let i = 0; i < numbers.length; i++) {
      if (numbers[i] === 0) continue;
      const hash = hashes[i] ?? 0;
      let slot = hash & mask;
      while (shard.numbers[slot] !== 0) slot = (slot + 1) & mask;
      shard.numbers[slot] = numbers[i] ?? 0;
      shard.hashes[slot] = hash;
    }
  }
}

/** MurmurHash3 (x86, 32 bits; Appleby, public domain): four bytes a step, and every bit of it is good for a mask. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x9747b28c;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    // In bounds: at + 3 < end.
    const word =
      (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
    hash ^= mixed(word);
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let shift = 0; at < end; at++, shift += 8) rest |= (bytes[at] ?? 0) << shift;
  hash ^= mixed(rest) ^ (end - start);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mixed(word: number): number {
  const product = Math.imul(word, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}
