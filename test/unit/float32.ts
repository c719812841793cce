/** Float32 arithmetic at its worst: WGSL lets an operation round either way. */

/** Rounds to one of the two neighbouring float32 values, always the one in `direction`. */
export function rounder(direction: 1 | -1): (value: number) => number {
  const view = new DataView(new ArrayBuffer(4));
  return (value) => {
    const nearest = Math.fround(value);
    if (nearest === value || nearest > value === direction > 0) return nearest;
    view.setFloat32(0, nearest);
    const bits = view.getInt32(0);
    const up =
      nearest === 0 ? (direction > 0 ? 1 : 0x80000001 | 0) : nearest > 0 === direction > 0 ? bits + 1 : bits - 1;
    view.setInt32(0, up);
    return view.getFloat32(0);
  };
}
