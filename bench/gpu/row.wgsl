// One row of the benchmark's data, made by a whole workgroup: clustered, with a decaying spectrum, rotated so that
// no element stands out; like real embeddings, and the same on every device and run. Prefix of generate.wgsl and brute.wgsl.
//
// An element is an integer (mean + 3 · its cluster's centre + 4 · its own noise, each a sum of four hashed bytes, so
// nearly normal) times a falling σ; a Walsh–Hadamard transform of each block then spreads every principal direction
// over the block's elements. Integers, one product and sums only: nothing that devices may round differently.
//
// Generated header: const DIMENSIONS, BLOCK (largest power of two that divides DIMENSIONS), CLUSTERS.
// Workgroup memory: 4 · DIMENSIONS bytes. CPU twin: clusteredRows in ../clustered.ts.

const LANES = 32u; // a subgroup on most GPUs: barriers cost little there, and less on software

var<workgroup> row: array<f32, DIMENSIONS>;

fn mix(value: u32) -> u32 { // lowbias32, Chris Wellons
  var x = value;
  x ^= x >> 16u;
  x *= 0x7feb352du;
  x ^= x >> 15u;
  x *= 0x846ca68bu;
  x ^= x >> 16u;
  return x;
}

fn bell(hash: u32) -> i32 {
  let bytes = (vec4u(hash) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
  return i32(bytes.x + bytes.y + bytes.z + bytes.w) - 510;
}

// Leaves the row in `row`, seen by all lanes.
fn make_row(number: u32, lane: u32) {
  let own = mix(number ^ 0x51ed270bu);
  let centre = mix((own % CLUSTERS) ^ 0x2c1b3c6du);
  workgroupBarrier(); // whoever still reads the previous row
  for (var j = lane; j < DIMENSIONS; j += LANES) {
    let value = bell(mix(j ^ 0x68bc21ebu)) + 3 * bell(mix(centre + j)) + 4 * bell(mix(own + j));
    row[j] = f32(value) * spectrum[j];
  }
  workgroupBarrier();
  for (var half = BLOCK / 2u; half > 0u; half /= 2u) {
    for (var pair = lane; pair < DIMENSIONS / 2u; pair += LANES) {
      let i = (pair / half) * 2u * half + pair % half;
      let x = row[i];
      let y = row[i + half];
      row[i] = x + y;
      row[i + half] = x - y;
    }
    workgroupBarrier();
  }
}
