/** What the fuzzers of readers do to files that are whole. */

/** Flips bytes, writes extreme numbers, cuts, repeats or removes a stretch; one to three of these. */
export function damage(bytes: Uint8Array, below: (most: number) => number): Uint8Array {
  let damaged = new Uint8Array(bytes); // a Buffer's slice would be the same bytes
  for (let times = 1 + below(3); times > 0; times--) {
    const at = below(Math.max(1, damaged.length));
    const kind = below(6);
    if (kind === 0) damaged[at] = (damaged[at] ?? 0) ^ (1 << below(8));
    else if (kind === 1) damaged[at] = below(256);
    else if (kind === 2) damaged.fill([0, 0xff, 0x7f, 0x80][below(4)] ?? 0, at, at + 1 + below(8));
    else if (kind === 3) damaged = damaged.slice(0, at);
    else if (kind === 4)
      damaged = new Uint8Array(Buffer.concat([damaged.subarray(0, at), damaged.subarray(below(at + 1))]));
    else damaged = new Uint8Array(Buffer.concat([damaged.subarray(0, at), damaged.subarray(at + 1 + below(16))]));
  }
  return damaged;
}
