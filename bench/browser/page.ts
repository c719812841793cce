/**
 * The page of the browser benchmark: the case table of bench:peers on made-up vectors, nearfield's CPU backend in Web
 * Workers, no special headers asked for. Address parameters: rows (most rows of a set, default 100,000), rounds (default
 * 7), threads (default: as many as the browser tells), only (part of a case's name). Results stand in the table and in
 * `benchmark`, for a program that opened the page.
 */
import { caseKey, type CaseGroup, limitRows, onlyCases } from "../cases/case.ts";
import { CPU_CASES } from "../cases/cpu.ts";
import { type CaseResult, compareGroup, type ContenderOutcome } from "../compare.ts";
import type { Clocks } from "../interleave.ts";
import { openNearfield } from "../nearfield-contender.ts";
import { madeUpVectors } from "../vectors.ts";

/** What a page can say of where it runs. */
export interface PageSetting {
  readonly userAgent: string;
  readonly cpus: number;
  /** Whether workers may share memory. */
  readonly isIsolated: boolean;
  readonly threads: number;
}

export interface PageResults {
  readonly setting: PageSetting;
  readonly results: readonly CaseResult[];
}

/** Pages have no clock of CPU time. */
const pageClocks: Clocks = { wallMs: () => performance.now(), cpuMs: () => null };
const BASE = "nearfield full";

const parameters = new URL(location.href).searchParams;
const parameter = (name: string, fallback: number): number => Number(parameters.get(name) ?? fallback);
const rounds = parameter("rounds", 7);
const setting: PageSetting = {
  userAgent: navigator.userAgent,
  cpus: navigator.hardwareConcurrency,
  isIsolated: crossOriginIsolated,
  threads: parameter("threads", navigator.hardwareConcurrency),
};

/** Groups with the contenders that a page has. */
function groups(): CaseGroup[] {
  return onlyCases(limitRows(CPU_CASES, parameter("rows", 100_000)), parameters.get("only") ?? "")
    .filter(({ data }) => data.source === "gaussian" || data.source === "clustered" || data.source === "bits")
    .map((group) => {
      const contenders = group.contenders
        .filter(({ engine }) => engine === "nearfield")
        .map((contender) => ({ ...contender, threads: setting.threads }));
      return { ...group, contenders, base: BASE };
    });
}

async function run(): Promise<PageResults> {
  element("setting").textContent =
    `${setting.threads} threads of ${setting.cpus}, ${setting.isIsolated ? "shared memory" : "no shared memory (page not isolated)"}, ${setting.userAgent}`;
  const results: CaseResult[] = [];
  for (const group of groups()) {
    show(`making ${group.data.rows} vectors`);
    const vectors = madeUpVectors(group.data);
    if (vectors === undefined) throw new Error(`a page has no ${group.data.source} vectors`);
    const compared = compareGroup(group, vectors, {
      rounds,
      clocks: pageClocks,
      open: (contender, { metric }) => openNearfield(contender, metric, vectors),
      onProgress: (stage) => show(`${group.data.source}: ${stage}`),
    });
    for await (const result of compared) {
      results.push(result);
      append(result);
    }
  }
  show("done");
  return { setting, results };
}

function append(result: CaseResult): void {
  const heading = document.createElement("th");
  heading.colSpan = 6;
  heading.textContent = `${caseKey(result.case)}, median of ${result.rounds} rounds`;
  element("results").append(row([heading]), ...result.contenders.map((outcome) => row(cells(outcome).map(cell))));
}

function cells(outcome: ContenderOutcome): string[] {
  const { name } = outcome.contender;
  if (outcome.status !== "ok") return [name, `${outcome.status}: ${outcome.reason}`];
  const { wallMs, speedup, recall, scan } = outcome;
  return [
    name,
    wallMs.median.toPrecision(3),
    `${wallMs.least.toPrecision(3)} – ${wallMs.p95.toPrecision(3)}`,
    speedup === null ? "" : `${speedup.median.toPrecision(3)} ×`,
    recall === null ? "" : recall.toFixed(4),
    scan?.method ?? "",
  ];
}

function cell(text: string): HTMLTableCellElement {
  const made = document.createElement("td");
  made.textContent = text;
  return made;
}

function row(made: readonly HTMLTableCellElement[]): HTMLTableRowElement {
  const line = document.createElement("tr");
  line.append(...made);
  return line;
}

function show(stage: string): void {
  element("stage").textContent = stage;
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

const benchmark: Promise<PageResults> = run();
benchmark.catch((error: unknown) => show(String(error)));
Object.assign(globalThis, { benchmark });
