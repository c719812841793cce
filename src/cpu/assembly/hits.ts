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

/** Appends the hit of each lane i whose bit is set in `lanes`: query + i·queryStep, row + i·rowStep. */
export function append_lanes(
  end: usize,
  lanes: i32,
  query: i32,
  queryStep: i32,
  row: i32,
  rowStep: i32,
  eligible: usize,
  words: i32,
): usize {
  for (; lanes != 0; lanes &= lanes - 1) {
    const lane = ctz(lanes);
    end = append(end, query + lane * queryStep, row + lane * rowStep, eligible, words);
  }
  return end;
}
