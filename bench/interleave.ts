/**
 * A/B without an advantage for either: in each round every contender has one turn, in alternating
 * order, so that a slow minute of the machine hits all of them and none is always first. Wall time
 * says how long a caller waits; CPU time, of the whole process with its threads, what it costs, and
 * is what remains comparable on a busy machine.
 */

/**
 * A contender that has taken so long in all has no more rounds, but for the one that counts: a peer a thousand times
 * slower must not make the run endless.
 */
const BUDGET_MS = 60_000;
/** A turn this long warms nothing up that it has not warmed up itself. */
const WARM_TURN_MS = 10_000;

export interface Turns {
  readonly name: string;
  /** What the first turn took when it was last run, before all rounds; absent where it never was. */
  readonly checkedMs?: number;
  /** One turn; `round` chooses the queries, the same for all. */
  run(round: number): Promise<void>;
}

/** Milliseconds of each round that counts; of a slow contender the first rounds only, at least one. */
export interface Timing {
  readonly wallMs: readonly number[];
  /** Null where the platform has no such clock. */
  readonly cpuMs: readonly number[] | null;
}

export interface Clocks {
  wallMs(): number;
  /** Of the whole process; null where the platform does not tell, as on a page. */
  cpuMs(): number | null;
}

/** A round that is not counted, and that those do without whose check took long; then `rounds` that are, fewer of slow contenders. Resolves in the order of `contenders`. */
export async function interleave(
  contenders: readonly Turns[],
  rounds: number,
  clocks: Clocks,
  onRound: (round: number) => void,
): Promise<Timing[]> {
  const hasCpu = clocks.cpuMs() !== null;
  const timings = contenders.map(() => ({ wallMs: [] as number[], cpuMs: [] as number[] }));
  const spentMs = contenders.map(({ checkedMs = 0 }) => checkedMs);
  for (let round = -1; round < rounds; round++) {
    onRound(round + 1);
    const order = [...contenders.entries()];
    if (round % 2 !== 0) order.reverse();
    for (const [i, contender] of order) {
      const spent = spentMs[i] ?? 0;
      if (round < 0 ? spent > WARM_TURN_MS : round > 0 && spent > BUDGET_MS) continue;
      const cpu = clocks.cpuMs() ?? 0;
      const wall = clocks.wallMs();
      await contender.run(Math.max(0, round));
      const wallMs = clocks.wallMs() - wall;
      const cpuMs = (clocks.cpuMs() ?? 0) - cpu;
      spentMs[i] = spent + wallMs;
      if (round < 0) continue;
      timings[i]?.wallMs.push(wallMs);
      timings[i]?.cpuMs.push(cpuMs);
    }
  }
  return timings.map(({ wallMs, cpuMs }) => ({ wallMs, cpuMs: hasCpu ? cpuMs : null }));
}
