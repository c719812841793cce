/** The report out of result lines, and the gate between two runs: what meets in a table, what is called slower, what is refused. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Case, Contender } from "../../bench/cases/case.ts";
import { judge } from "../../bench/regression/judge.ts";
import { withSection } from "../../bench/report/markdown.ts";
import { report } from "../../bench/report/report.ts";
import { type Comparison, readLines } from "../../bench/report/results.ts";
import type { Spread } from "../../bench/statistics.ts";

const GLOVE: Case = { data: { source: "glove", rows: 1000, dimensions: 100 }, metric: "cosine", batch: 1, k: 10 };
const OURS: Contender = { name: "nearfield", engine: "nearfield", precision: "f32", threads: 1 };
const THEIRS: Contender = { name: "usearch", engine: "usearch", precision: "f32", threads: 1 };

interface Given {
  readonly ours?: number;
  readonly theirs?: number;
  readonly recall?: number;
  /** Half the way from the least time to the 95th percentile, over the median. */
  readonly noise?: number;
  readonly cpu?: string;
  readonly backend?: "gpu";
  readonly date?: string;
  readonly type?: string;
}

function spread(median: number, noise: number): Spread {
  const [least, p95] = [median * (1 - noise), median * (1 + noise)];
  return { median, least, p95, most: p95, count: 5 };
}

/** One case with both contenders, as bench:peers writes it. */
function comparison(given: Given = {}): Comparison {
  const {
    ours = 1,
    theirs = 2,
    recall = 1,
    noise = 0.01,
    cpu = "Xeon",
    backend,
    date = "2026-11-26T10:00:00Z",
  } = given;
  const outcome = (contender: Contender, ms: number) =>
    ({
      contender: backend === undefined ? contender : { ...contender, backend },
      status: "ok",
      wallMs: spread(ms, noise),
      cpuMs: null,
      speedup: null,
      cpuSpeedup: null,
      recall,
      scan: null,
      codes: null,
    }) as const;
  return {
    type: given.type ?? "peers",
    key: "glove-1000x100-cosine-b1-k10",
    commit: "0123456789abcdef",
    date,
    runtime: { node: "v24.1.0", os: "Linux", cpu, cpus: 2, memoryBytes: 1 },
    case: GLOVE,
    rounds: 5,
    queriesPerTurn: 64,
    peers: { usearch: "2.26.0" },
    contenders: [outcome(OURS, ours), outcome(THEIRS, theirs)],
  };
}

const DOCUMENT = ["peers", "engine", "rooflines"]
  .map((name) => `## ${name}\n<!-- bench:report ${name} -->\nold\n<!-- /bench:report -->\n`)
  .join("\n");

describe("the report", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "nearfield-report-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function written(name: string, lines: readonly unknown[]): string {
    const path = join(folder, name);
    writeFileSync(path, lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"));
    return path;
  }

  it("tells each contender's time, and how many times nearfield's that is", () => {
    const { text } = report(DOCUMENT, [written("a.jsonl", [comparison({ ours: 1.5, theirs: 3 })])]);
    expect(text).toContain("**GloVe, 1,000 × 100, cosine**");
    expect(text).toMatch(/\| nearfield +\| 1\.50 +\| 1\.000/);
    expect(text).toMatch(/\| usearch +\| 3\.00 \(2\.00 ×\) +\| 1\.000/);
    expect(text).toContain("usearch 2.26.0");
    expect(text).toContain("**Where we lose**: in none of these.");
    expect(text).not.toContain("old");
  });

  it("says where nearfield loses, and leaves out of that who misses neighbours", () => {
    const faster = written("a.jsonl", [comparison({ ours: 4, theirs: 2 })]);
    expect(report(DOCUMENT, [faster]).text).toContain(
      "- GloVe, 1,000 × 100, cosine, batch 1, k 10: usearch 2.00 × as fast",
    );
    const sloppy = written("b.jsonl", [comparison({ ours: 4, theirs: 2, recall: 0.9 })]);
    expect(report(DOCUMENT, [sloppy]).text).toContain("in none of these");
  });

  it("lists with the reason who has no number", () => {
    const [ours] = comparison().contenders;
    const failed = { contender: THEIRS, status: "failed", reason: "cannot find module\nstack" } as const;
    const { text } = report(DOCUMENT, [written("a.jsonl", [{ ...comparison(), contenders: [ours, failed] }])]);
    expect(text).toContain("- **usearch**, failed: cannot find module");
    expect(text).not.toContain("stack");
  });

  it("lets numbers of two machines never meet in a table", () => {
    const { text, charts } = report(DOCUMENT, [
      written("a.jsonl", [comparison({ cpu: "Xeon", ours: 1.25 })]),
      written("b.jsonl", [comparison({ cpu: "EPYC", ours: 7.75 })]),
    ]);
    const [, xeon = "", epyc = ""] = text.split(/^### /m);
    expect(xeon).toMatch(/^Xeon, 2 vCPU, Node 24\.1\.0/);
    expect(xeon).toContain("1.25");
    expect(xeon).not.toContain("7.75");
    expect(epyc).toContain("7.75");
    expect(charts.size).toBe(2);
  });

  it("takes the newest of two runs, and neither smoke runs nor half a line", () => {
    const lines = [
      comparison({ ours: 2, date: "2026-11-26T10:00:00Z" }),
      comparison({ ours: 3, date: "2026-11-25T10:00:00Z" }),
      { ...comparison({ ours: 5, date: "2026-11-27T10:00:00Z" }), smoke: true },
      '{"runtime": {',
    ];
    const path = written("a.jsonl", lines);
    expect(readLines(path)).toHaveLength(2);
    expect(report(DOCUMENT, [path]).text).toMatch(/\| nearfield +\| 2\.00 /);
  });

  it("draws charts whose ink follows the reader's colour scheme", () => {
    const { charts } = report(DOCUMENT, [written("a.jsonl", [comparison()])]);
    const [svg = ""] = charts.values();
    expect(svg).toContain("<svg");
    expect(svg).toContain("prefers-color-scheme:dark");
    expect(svg).toContain("var(--ink)");
    // The stand-ins that the chart library takes for colours.
    expect(svg).not.toMatch(/#0a0b0c|#0d0e0f/);
  });

  it("refuses a document without the part that it should fill", () => {
    expect(() => withSection("# nothing", "peers", "body")).toThrow(/<!-- bench:report peers -->/);
  });

  it("is what BENCHMARKS.md holds", { timeout: 120_000 }, () => {
    const document = readFileSync("BENCHMARKS.md", "utf8");
    const results = join("bench", "results");
    const files = readdirSync(results)
      .filter((name) => name.endsWith(".jsonl"))
      .map((name) => join(results, name));
    const { text, charts } = report(document, files);
    expect(text, "run npm run bench:report").toBe(document);
    for (const [name, svg] of charts) expect(readFileSync(join(results, "charts", name), "utf8"), name).toBe(svg);
  });
});

describe("the gate between two runs", () => {
  const verdicts = (a: Comparison, b: Comparison, tolerance = 0.05): string[] =>
    judge([a], [b], tolerance).map(({ contender, verdict }) => `${contender} ${verdict}`);

  it("calls faster and slower what is so beyond the noise of both runs", () => {
    expect(verdicts(comparison({ ours: 1, theirs: 2 }), comparison({ ours: 1.5, theirs: 1 }))).toEqual([
      "nearfield slower",
      "usearch faster",
    ]);
    expect(verdicts(comparison(), comparison())).toEqual(["nearfield same", "usearch same"]);
  });

  it("adds up the noise of both, as of independent errors", () => {
    // √(0.12² + 0.16²) = 0.2
    const noisy = (ours: number, noise: number): Comparison => comparison({ ours, noise });
    const [change] = judge([noisy(1, 0.12)], [noisy(1, 0.16)], 0.05);
    expect(change?.noise).toBeCloseTo(0.2, 10);
    expect(verdicts(noisy(1, 0.12), noisy(1.19, 0.16))[0]).toBe("nearfield same");
    expect(verdicts(noisy(1, 0.12), noisy(1.21, 0.16))[0]).toBe("nearfield slower");
  });

  it("lets small changes pass however quiet the machine", () => {
    const [a, b] = [comparison({ ours: 1, noise: 0 }), comparison({ ours: 1.08, noise: 0 })];
    expect(verdicts(a, b, 0.1)[0]).toBe("nearfield same");
    expect(verdicts(a, b, 0.05)[0]).toBe("nearfield slower");
  });

  it("refuses other machines, other backends, a mixture, and runs with nothing in common", () => {
    expect(() => judge([comparison()], [comparison({ cpu: "EPYC" })], 0.05)).toThrow(/Xeon.*EPYC/);
    expect(() => judge([comparison()], [comparison({ backend: "gpu" })], 0.05)).toThrow(/cpu.*gpu/);
    expect(() => judge([comparison(), comparison({ cpu: "EPYC" })], [comparison()], 0.05)).toThrow(/A mixes/);
    expect(() => judge([comparison()], [], 0.05)).toThrow(/B holds no comparison/);
    expect(() => judge([comparison()], [{ ...comparison(), key: "another" }], 0.05)).toThrow(/nothing|no case/);
  });
});
