/** How rows of each precision are stored (DESIGN rule 4), written again from the contract's text: the answer check shares no code with the store. */

/** The values that distances are computed from, as float64 where float32 cannot hold them. */
export function storedRow(precision: "f32" | "f16" | "i8", row: Float32Array): ArrayLike<number> {
  switch (precision) {
    case "f32":
      return row;
    case "f16":
      return row.map(roundToHalf);
    case "i8": {
      const scale = Math.fround(row.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127);
      return Float64Array.from(row, (value) => (scale === 0 ? 0 : scale * roundHalfEven(value / scale)));
    }
    default:
      return precision satisfies never;
  }
}

/** Differing bits, where a bit is set for an element > 0. */
export function packedHamming(a: Float32Array, b: Float32Array): number {
  let differing = 0;
  for (let i = 0; i < a.length; i++) if ((a[i] ?? 0) > 0 !== (b[i] ?? 0) > 0) differing++;
  return differing;
}

/** To the nearest f16, ties to even. */
export function roundToHalf(value: number): number {
  const magnitude = Math.abs(value);
  if (magnitude === 0) return value;
  // The spacing of f16 at this magnitude: 10 fraction bits, and 2⁻²⁴ below the smallest normal number.
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude)));
  const spacing = 2 ** (exponent - 10);
  return roundHalfEven(value / spacing) * spacing;
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
