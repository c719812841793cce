/** Markdown out of records: pure, so that a test can hold the document to its data. */

/** Columns padded, so that the table can be read as text too. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(3, cell.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, i) => (cells[i] ?? "").padEnd(width)).join(" | ")} |`;
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows.map(line)].join("\n");
}

const OPEN = "<!-- bench:report";
const CLOSE = "<!-- /bench:report -->";

/** The document with the generated part `name` replaced. Throws where it has no such part. */
export function withSection(document: string, name: string, body: string): string {
  const open = `${OPEN} ${name} -->`;
  const from = document.indexOf(open);
  const to = document.indexOf(CLOSE, from);
  if (from < 0 || to < 0) throw new Error(`the document has no part between "${open}" and "${CLOSE}"`);
  return `${document.slice(0, from + open.length)}\n\n${body}\n\n${document.slice(to)}`;
}

/** Three significant digits, never in exponents. */
export function digits(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value.toPrecision(3);
}
