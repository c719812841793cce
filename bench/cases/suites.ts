/** What `--case` names. */
import type { CaseGroup } from "./case.ts";
import { CPU_CASES } from "./cpu.ts";
import { PEERS_CASES } from "./peers.ts";
import { THREADS_CASES } from "./threads.ts";

export type SuiteName = "cpu" | "threads" | "peers";

export const SUITES: Readonly<Record<SuiteName, readonly CaseGroup[]>> = {
  cpu: CPU_CASES,
  threads: THREADS_CASES,
  peers: PEERS_CASES,
};
