/**
 * A/B without an advantage for either: in each round every contender has one turn, in alternating
 * order, so that a slow minute of the machine hits all of them and none is always first. Wall time
 * says how long a caller waits; CPU time, of the whole process with its threads, what it costs, and
 * is what remains comparable on a busy machine.
 */

/** A contender whose first turn takes longer has SLOW_ROUNDS: a peer a thousand times slower must not make the run endless. */
const SLOW_TURN_MS = 10_000;
const SLOW_ROUNDS = 2;

export interface Turns {
  readonly name: string;
  /** One turn; `round` chooses the queries, the same for all. */
  run(round: number): Promise<void>;
}

/** Milliseconds of each round that counts; of a slow contender the first rounds only. */
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

/** A round that is not counted, then `rounds` that are, fewer of slow contenders. Resolves in the order of `contenders`. */
export async function interleave(
  contenders: readonly Turns[],
  rounds: number,
  clocks: Clocks,
  onRound: (round: number) => void,
): Promise<Timing[]> {
  const hasCpu = clocks.cpuMs() !== null;
  const timings = contenders.map(() => ({ wallMs: [] as number[], cpuMs: [] as number[] }));
  const slow = new Set<Turns>();
  for (let round = -1; round < rounds; round++) {
    onRound(round + 1);
    const order = [...contenders.entries()];
    if (round % 2 !== 0) order.reverse();
    for (const [i, contender] of order) {
      if (slow.has(contender) && round >= SLOW_ROUNDS) continue;
      const cpu = clocks.cpuMs() ?? 0;
      const wall = clocks.wallMs();
      await contender.run(Math.max(0, round));
      const wallMs = clocks.wallMs() - wall;
      const cpuMs = (clocks.cpuMs() ?? 0) - cpu;
      if (round < 0) {
        if (wallMs > SLOW_TURN_MS) slow.add(contender);
        continue;
      }
      timings[i]?.wallMs.push(wallMs);
      timings[i]?.cpuMs.push(cpuMs);
    }
  }
  return timings.map(({ wallMs, cpuMs }) => ({ wallMs, cpuMs: hasCpu ? cpuMs : null }));
}
