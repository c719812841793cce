// The list that scans append what they let through to. Twin: appendHit in ../kernels-js.ts.

/**
 * Appends (query << 16 | row) to the list that ends at `end`, if the row's bit is set for the
 * query; returns the new end. `words`: 32-bit words of one query's bitmap in `eligible`, or 0
 * where all queries have the same.
 */
export function append(end: usize, query: i32, row: i32, eligible: usize, words: i32): usize {
  const word = load<u32>(eligible + (<usize>(query * words + (row >> 5)) << 2));
  if ((word >> (row & 31)) & 1) {
    store<u32>(end, (query << 16) | row);
    return end + 4;
  }
  return end;
}
