// select_digit: chooses the digit that holds the wanted rank, appends it to the query's prefix and
// clears the histogram for the next digit. After four rounds `prefix` is the wanted key itself.
//
// Grid: one invocation per query. Workgroup memory: none. Features: none. CPU twin: `selectKth`
// in test/gpu/twins.ts.

struct DigitParams {
  queries : u32,
  unused0 : u32,
  unused1 : u32,
  unused2 : u32,
}

struct Selection {
  prefix : u32,
  remaining : u32,
}

@group(0) @binding(0) var<uniform> params : DigitParams;
@group(0) @binding(1) var<storage, read_write> selections : array<Selection>;  // [queries]
@group(0) @binding(2) var<storage, read_write> histograms : array<u32>;        // [queries × 256]

override WORKGROUP : u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn select_digit(@builtin(global_invocation_id) id : vec3u) {
  let query = id.x;
  if (query >= params.queries) {
    return;
  }
  var remaining = selections[query].remaining;
  var digit = 255u;
  for (var i = 0u; i < 256u; i++) {
    let count = histograms[query * 256u + i];
    if (remaining <= count) {
      digit = i;
      break;
    }
    remaining -= count;
  }
  for (var i = 0u; i < 256u; i++) {
    histograms[query * 256u + i] = 0u;
  }
  selections[query].prefix = (selections[query].prefix << 8u) | digit;
  selections[query].remaining = remaining;
}
