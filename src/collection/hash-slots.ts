/**
 * Finds the number of a byte string: rows by id, dictionary codes by text. Open addressing in
 * typed arrays, 8 bytes a slot (number and hash side by side, so that a probe is one cache line),
 * without a string or object for each key. The bytes themselves stay where they are; the owner
 * compares them. Linear probing; removal shifts back what follows, so there are no tombstones.
 *
 * From 4,096 keys on there are 256 shards, by the hash's high bits: each doubles on its own, so that
 * no insertion moves more than a 256th of the table, where one large table would stop the thread
 * for 30 ms at a million keys.
 */

/** Where the bytes of numbers are. */
export interface NumberedBytes {
  isSame(number: number, bytes: Uint8Array, start: number, end: number): boolean;
}

interface Shard {
  /** Of slot i: number + 1, or 0 where it is free, at 2i; hash at 2i + 1. */
  slots: Uint32Array;
  used: number;
}

export const NONE = -1;

const SHARDS = 256;
const SPLIT_KEYS = 4096;
const FIRST_SLOTS = 8;

export class HashSlots {
  readonly #keys: NumberedBytes;
  #shards: Shard[] = [emptyShard(FIRST_SLOTS)];
  /** Of the hash's high eight bits: 0 while there is one shard. */
  #shardMask = 0;

  constructor(keys: NumberedBytes) {
    this.#keys = keys;
  }

  get sizeBytes(): number {
    return this.#shards.reduce((sum, { slots }) => sum + slots.byteLength, 0);
  }

  /** Makes an empty table ready for so many keys, so that it need not grow on the way. */
  reserve(keys: number): void {
    if (this.#shardMask !== 0 || this.#shards[0]?.used !== 0 || keys <= SPLIT_KEYS) return;
    // A sixth more than the mean: shards are hardly ever fuller, and those that are grow.
    const needed = ((keys / SHARDS) * 7 * 4) / (6 * 3);
    this.#split(2 ** Math.ceil(Math.log2(needed)));
  }

  /** The number of these bytes, or NONE. */
  find(hash: number, bytes: Uint8Array, start: number, end: number): number {
    const { slots } = this.#shardOf(hash);
    return (slots[this.#placeOf(slots, hash, bytes, start, end)] ?? 0) - 1;
  }

  /** Gives these bytes a number; returns the one they had, or NONE. */
  put(hash: number, bytes: Uint8Array, start: number, end: number, number: number): number {
    const shard = this.#shardOf(hash);
    const place = this.#placeOf(shard.slots, hash, bytes, start, end);
    const before = (shard.slots[place] ?? 0) - 1;
    shard.slots[place] = number + 1;
    shard.slots[place + 1] = hash;
    if (before !== NONE) return before;
    shard.used++;
    if (this.#shardMask === 0 && shard.used > SPLIT_KEYS) this.#split(FIRST_SLOTS);
    else if (shard.used * 8 > shard.slots.length * 3) grow(shard);
    return NONE;
  }

  /** Forgets the bytes with this hash and number; false when there are none. */
  remove(hash: number, number: number): boolean {
    const shard = this.#shardOf(hash);
    const { slots } = shard;
    const mask = slots.length - 1;
    let hole = (hash * 2) & mask;
    while (slots[hole] !== number + 1) {
      if (slots[hole] === 0) return false;
      hole = (hole + 2) & mask;
    }
    shard.used--;
    for (let next = (hole + 2) & mask; slots[next] !== 0; next = (next + 2) & mask) {
      // What lies between its home and the hole stays: moved into the hole it would lie before its home.
      const home = ((slots[next + 1] ?? 0) * 2) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      slots[hole] = slots[next] ?? 0;
      slots[hole + 1] = slots[next + 1] ?? 0;
      hole = next;
    }
    slots[hole] = 0;
    return true;
  }

  #shardOf(hash: number): Shard {
    const shard = this.#shards[(hash >>> 24) & this.#shardMask];
    if (shard === undefined) throw new Error("there are as many shards as the mask says");
    return shard;
  }

  /** Where the slot begins that holds these bytes, else the free one where they belong. */
  #placeOf(slots: Uint32Array, hash: number, bytes: Uint8Array, start: number, end: number): number {
    const mask = slots.length - 1;
    for (let place = (hash * 2) & mask; ; place = (place + 2) & mask) {
      const number = slots[place] ?? 0;
      if (number === 0) return place;
      if (slots[place + 1] === hash && this.#keys.isSame(number - 1, bytes, start, end)) return place;
    }
  }

  #split(slots: number): void {
    const { slots: before } = this.#shardOf(0);
    this.#shardMask = SHARDS - 1;
    this.#shards = Array.from({ length: SHARDS }, () => emptyShard(slots));
    for (let place = 0; place < before.length; place += 2) {
      if (before[place] === 0) continue;
      const hash = before[place + 1] ?? 0;
      const shard = this.#shardOf(hash);
      insert(shard.slots, before[place] ?? 0, hash);
      if (++shard.used * 8 > shard.slots.length * 3) grow(shard);
    }
  }
}

function emptyShard(slots: number): Shard {
  return { slots: new Uint32Array(slots * 2), used: 0 };
}

function grow(shard: Shard): void {
  const before = shard.slots;
  shard.slots = new Uint32Array(before.length * 2);
  for (let place = 0; place < before.length; place += 2) {
    if (before[place] !== 0) insert(shard.slots, before[place] ?? 0, before[place + 1] ?? 0);
  }
}

/** Into the first free slot from the hash's home on; the key is not there yet. */
function insert(slots: Uint32Array, entry: number, hash: number): void {
  const mask = slots.length - 1;
  let place = (hash * 2) & mask;
  while (slots[place] !== 0) place = (place + 2) & mask;
  slots[place] = entry;
  slots[place + 1] = hash;
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
