// CRC-32C of one chunk by 16 tables, as ../crc32c.ts does it, in two halves at once: the chain of
// one half's values leaves the core idle for as long as the other half's step takes. The value of
// the first half is then moved past the second by the table of that many zeros, since a CRC is
// linear. The memory, laid out by ../crc32c-wasm.ts:
//
//   0       16 × 256 u32, TABLES of ../crc32c.ts
//   16,384  4 × 256 u32: what byte b of a value becomes after half a chunk of zeros
//   65,536  the chunk, 65,536 bytes

const SHIFTS: usize = 0x4000;
const CHUNK: usize = 0x10000;
const HALF: usize = 0x8000;

// @ts-ignore: decorator
@inline
function entry(bits: u64, table: usize): u32 {
  return load<u32>(usize(bits & 0x3fc) + table);
}

// @ts-ignore: decorator
@inline
function step(at: usize, value: u32): u32 {
  const a = load<u64>(at) ^ u64(value);
  const b = load<u64>(at, 8);
  return (
    entry(a << 2, 0x3c00) ^ entry(a >> 6, 0x3800) ^ entry(a >> 14, 0x3400) ^ entry(a >> 22, 0x3000) ^
    entry(a >> 30, 0x2c00) ^ entry(a >> 38, 0x2800) ^ entry(a >> 46, 0x2400) ^ entry(a >> 54, 0x2000) ^
    entry(b << 2, 0x1c00) ^ entry(b >> 6, 0x1800) ^ entry(b >> 14, 0x1400) ^ entry(b >> 22, 0x1000) ^
    entry(b >> 30, 0xc00) ^ entry(b >> 38, 0x800) ^ entry(b >> 46, 0x400) ^ entry(b >> 54, 0)
  );
}

/** The value after the chunk, of the value before it; both without the inversion at the ends. */
export function crc32c_chunk(before: u32): u32 {
  let first = before;
  let second: u32 = 0;
  for (let at = CHUNK; at < CHUNK + HALF; at += 16) {
    first = step(at, first);
    second = step(at + HALF, second);
  }
  const bits = u64(first);
  return (
    second ^
    entry(bits << 2, SHIFTS) ^ entry(bits >> 6, SHIFTS + 0x400) ^
    entry(bits >> 14, SHIFTS + 0x800) ^ entry(bits >> 22, SHIFTS + 0xc00)
  );
}
