/** A line of a table for people: the first cell to the left, the others to the right of their columns. */
export function row(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : ` ${cell.padStart((widths[i] ?? 1) - 1)}`))
    .join("");
}
