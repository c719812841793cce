// select_k: the k-th smallest key of each query's list, by radix select of four 8-bit digits in one
// workgroup, and what becomes of it. Exact for every k and whatever the ties.
//
// PICK: pick = the key of rank min(wanted × multiple, n): which entries to look at closer.
// BOUND: threshold = min(threshold, the value of rank `wanted`), raised to `floor` and lifted off
// at `ceiling` where canonical distances clamp: rows beyond it are out. With fewer entries than
// wanted nothing is out.
// Afterwards all candidates listed count as refined, or the list is emptied (`reset`).
//
// Grid: one workgroup per query. Workgroup memory: 1,104 bytes. Features: none. CPU twin:
// `selectKth` in test/gpu/twins.ts. Parts: keys, query, state.

struct SelectParams {
  count : u32,      // entries of a list; 0: as many as the query has candidates
  stride : u32,     // entries between two lists; of candidates also the most there are
  multiple : u32,   // of `wanted` that makes the rank of PICK
  invert : u32,     // 0xffffffff where the list holds inverted keys, else 0
  isBound : u32,    // 1 BOUND, 0 PICK
  reset : u32,      // 1: the candidate list is empty afterwards
}

@group(0) @binding(0) var<uniform> params : SelectParams;
@group(0) @binding(1) var<storage, read> list : array<u32>;                  // [queries × stride]
@group(0) @binding(2) var<storage, read> queryParams : array<QueryParams>;   // [queries]
@group(0) @binding(3) var<storage, read_write> states : array<QueryState>;   // [queries]

override WORKGROUP : u32 = 64u;

var<workgroup> histogram : array<atomic<u32>, 256>;
var<workgroup> groupSums : array<u32, 16>;
var<workgroup> prefix : u32;
var<workgroup> rank : u32;

@compute @workgroup_size(WORKGROUP)
fn select_k(@builtin(workgroup_id) group : vec3u, @builtin(local_invocation_index) lane : u32) {
  let query = group.x;
  let found = select(params.count, min(states[query].count, params.stride), params.count == 0u);
  let wanted = queryParams[query].wanted;
  let asked = select(min(wanted * params.multiple, found), wanted, params.isBound == 1u);
  if (lane == 0u) {
    prefix = 0u;
    rank = asked;
  }
  // Uniform: what decides is the same for the whole workgroup, but the analysis cannot know.
  let n = workgroupUniformLoad(&rank);
  let isFindable = n > 0u && n <= found;
  for (var shift = 24u; shift <= 24u; shift -= 8u) { // wraps around after shift 0
    for (var i = lane; i < 256u; i += WORKGROUP) {
      atomicStore(&histogram[i], 0u);
    }
    let known = workgroupUniformLoad(&prefix); // a barrier, too
    if (isFindable) {
      for (var i = lane; i < found; i += WORKGROUP) {
        let key = list[query * params.stride + i] ^ params.invert;
        // A shift by 32 is undefined: the first digit has no prefix to match.
        if (shift == 24u || (key >> (shift + 8u)) == known) {
          atomicAdd(&histogram[(key >> shift) & 255u], 1u);
        }
      }
    }
    workgroupBarrier();
    for (var g = lane; g < 16u; g += WORKGROUP) {
      var sum = 0u;
      for (var i = 0u; i < 16u; i++) {
        sum += atomicLoad(&histogram[g * 16u + i]);
      }
      groupSums[g] = sum;
    }
    workgroupBarrier();
    if (lane == 0u && isFindable) {
      var remaining = rank;
      var digit = 0u;
      while (digit < 240u && remaining > groupSums[digit >> 4u]) {
        remaining -= groupSums[digit >> 4u];
        digit += 16u;
      }
      while (digit < 255u && remaining > atomicLoad(&histogram[digit])) {
        remaining -= atomicLoad(&histogram[digit]);
        digit++;
      }
      rank = remaining;
      prefix = (known << 8u) | digit;
    }
    workgroupBarrier();
  }
  if (lane != 0u) {
    return;
  }
  let isFound = isFindable && prefix != NO_KEY;
  let value = select(ADMITS_ALL, value_of(prefix), isFound);
  if (params.isBound == 1u) {
    let p = queryParams[query];
    let raised = max(value, p.floor);
    states[query].threshold = min(states[query].threshold, select(raised, ADMITS_ALL, raised >= p.ceiling));
  } else {
    states[query].pick = select(NO_KEY, prefix, isFound);
  }
  if (params.reset == 1u) {
    states[query].count = 0u;
    states[query].refined = 0u;
  } else if (params.count == 0u) {
    states[query].refined = found;
  }
}
