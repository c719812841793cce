// Part: whether a tile of TR rows × TQ queries holds any pair that may be found. A tile without one
// is left out by the whole workgroup together. Workgroup memory: 8 bytes.

var<workgroup> eligibleWords : atomic<u32>;
var<workgroup> eligibleSum : u32;

// Which tile of rows (x) and which of queries (y) a workgroup takes. Workgroups that start one after
// the other take the same rows with other queries: rows come from memory once, not once a query tile.
fn tile_of(group : vec3u, groups : vec3u) -> vec2u {
  let i = group.x + groups.x * (group.y + groups.y * group.z);
  return vec2u(i / groups.z, i % groups.z);
}

// Uniform over the workgroup. `first`: the first of the rows looked at, `firstQuery`: the first query.
fn is_tile_eligible(first : u32, firstQuery : u32, lane : u32) -> bool {
  const WORDS = TR / 32u;
  for (var t = lane; t < WORDS * TQ; t += THREADS) {
    let query = firstQuery + t / WORDS;
    let i = first + t % WORDS * 32u;
    if (query < params.queries && i < params.rows) {
      let word = (params.shardRow + row_at(i)) >> 5u;
      atomicOr(&eligibleWords, eligible[queryParams[query].eligibility * params.words + word]);
    }
  }
  workgroupBarrier();
  if (lane == 0u) {
    eligibleSum = atomicLoad(&eligibleWords);
  }
  return workgroupUniformLoad(&eligibleSum) != 0u;
}

// Which of four rows, the first of them at a multiple of 4, the query may find.
fn eligible_of(query : u32, row : u32) -> vec4<bool> {
  let at = params.shardRow + row;
  let word = eligible[queryParams[query].eligibility * params.words + (at >> 5u)] >> (at & 31u);
  return ((vec4u(word) >> vec4u(0u, 1u, 2u, 3u)) & vec4u(1u)) == vec4u(1u);
}

// Says of every pair of a tile without an eligible one that it is not to be found.
fn fill_tile(first : u32, firstQuery : u32, lane : u32) {
  for (var t = lane; t < TR * TQ; t += THREADS) {
    let i = first + t % TR;
    let query = firstQuery + t / TR;
    if (i < params.rows && query < params.queries) {
      emit(query, i, row_at(i), 0.0, false);
    }
  }
}
