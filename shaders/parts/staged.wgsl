// Part: tiles of rows and of queries in workgroup memory as matrix units read them: vector by
// vector, CHUNKS chunks of each at a time, and beside them the tile of their inner products.
// The chunk of padding between two vectors keeps eight of them on different banks.
// Header: TQ, TR, RQ, RR, THREADS. The kernel: aliases Score and PerQuery, per_query.
// Workgroup memory: 80·(TQ + TR) + 4·TQ·TR bytes.

const CHUNKS : u32 = 4u;              // chunks of a step
const STRIDE : u32 = CHUNKS + 1u;     // chunks between two vectors

var<workgroup> rowTile : array<vec4u, TR * STRIDE>;     // [row][chunk]
var<workgroup> queryTile : array<vec4u, TQ * STRIDE>;   // [query][chunk]
var<workgroup> scores : array<Score, TQ * TR>;          // [query][row]

// Chunks from `chunk` on, zeros behind the last. `first`: the first of the rows looked at.
fn load_rows(first : u32, chunk : u32, lane : u32) {
  for (var t = lane; t < TR * CHUNKS; t += THREADS) {
    let r = t % TR;                   // side by side: rows are interleaved
    let row = row_at(min(first + r, params.rows - 1u));
    let c = chunk + t / TR;
    var data = vec4u();
    if (c < params.chunks) {
      data = rows[((row >> 5u) * params.chunks + c) * 32u + (row & 31u)];
    }
    rowTile[r * STRIDE + t / TR] = data;
  }
}

fn load_queries(firstQuery : u32, chunk : u32, lane : u32) {
  for (var t = lane; t < TQ * CHUNKS; t += THREADS) {
    let q = t / CHUNKS;               // side by side: chunks of a query are
    let query = min(firstQuery + q, params.queries - 1u);
    let c = chunk + t % CHUNKS;
    var data = vec4u();
    if (c < params.chunks) {
      data = queries[query * params.chunks + c];
    }
    queryTile[q * STRIDE + t % CHUNKS] = data;
  }
}

// Of four rows side by side, from `row` of the tile on.
fn scores_of(query : u32, row : u32) -> vec4<Score> {
  let at = query * TR + row;
  return vec4<Score>(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]);
}

// What a workgroup does: the sums of its tile, by whichever part has sum_tile, then its epilogue.
fn score_tile(group : vec3u, lane : u32, subgroup : u32) {
  let first = (group.y * params.width + group.x) * TR;
  if (first >= params.rows) { // uniform: of the whole workgroup
    return;
  }
  let firstQuery = params.firstQuery + group.z * TQ;
  if (!is_tile_eligible(first, firstQuery, lane)) {
    fill_tile(first, firstQuery, lane);
    return;
  }
  sum_tile(first, firstQuery, lane, subgroup);
  workgroupBarrier();

  const TX = TR / RR;
  const TY = TQ / RQ;
  let tx = lane % TX;
  let ty = lane / TX;
  for (var qb = 0u; qb < RQ; qb++) {
    let query = firstQuery + qb * TY + ty;
    if (query >= params.queries) {
      continue;
    }
    let q = per_query(query);
    for (var rb = 0u; rb < RR / 4u; rb++) {
      let row = (rb * TX + tx) * 4u;
      emit_four(query, q, first + row, scores_of(qb * TY + ty, row));
    }
  }
}
