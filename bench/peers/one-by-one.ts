/** The contender of a peer that has no search for a batch, or a slower one: its queries one after the other. */
import type { Contender } from "../cases/case.ts";
import type { OpenContender } from "../contender.ts";

export interface SingleSearch<Query, Answer> {
  /** The form that the peer wants a query in; not timed. The vector is the peer's to keep. */
  query(vector: Float32Array<ArrayBuffer>): Query;
  search(query: Query, k: number): Answer | Promise<Answer>;
  /** The rows of an answer, nearest first; not timed. */
  rows(answer: Answer): ArrayLike<number>;
  close(): void | Promise<void>;
}

export function oneByOne<Query, Answer>(
  contender: Contender,
  dimensions: number,
  peer: SingleSearch<Query, Answer>,
): OpenContender {
  return {
    contender,
    prepare: (queries, k) => {
      const asked = Array.from({ length: queries.length / dimensions }, (_, q) =>
        peer.query(Float32Array.from(queries.subarray(q * dimensions, (q + 1) * dimensions))),
      );
      return {
        run: async () => {
          const answers: Answer[] = [];
          for (const query of asked) answers.push(await peer.search(query, k));
          return {
            rows: () =>
              joined(
                answers.map((answer) => peer.rows(answer)),
                k,
              ),
          };
        },
      };
    },
    close: async () => peer.close(),
  };
}

/** [answers × k]; -1 where an answer is short. */
function joined(answers: readonly ArrayLike<number>[], k: number): Int32Array {
  const out = new Int32Array(answers.length * k).fill(-1);
  for (const [q, answer] of answers.entries()) out.set(Array.from(answer).slice(0, k), q * k);
  return out;
}
