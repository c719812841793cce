/** Records as a film catalogue has them, with vectors; seeded, so that every contender and every run has the same. */
import { uniform } from "../../src/core/random.ts";

const WORDS = "the of night day last first city river stone glass winter summer red blue long way home light".split(
  " ",
);
const LANGUAGES = ["en", "fr", "de", "ja", "es", "it", "ko", "hi", "zh", "sv", "da", "pl"];

/** About 140 bytes of JSON; title and score hardly repeat. */
interface Film {
  readonly title: string;
  readonly year: number;
  readonly lang: string;
  readonly tags: readonly string[];
  readonly score: number;
  readonly studio: string;
}

export interface FilmRecord {
  readonly id: string;
  readonly vector: Float32Array;
  readonly metadata: { readonly [key in keyof Film]: Film[key] };
}

export interface Catalogue {
  readonly dimensions: number;
  readonly records: readonly FilmRecord[];
  /** Vectors to look for, none of which is a record's. */
  readonly queries: readonly Float32Array[];
}

/** `vectors` lie in one array each `dimensions` long, uniform in the cube around 0: no structure to use. */
export function catalogue(count: number, dimensions: number, queries = 10): Catalogue {
  const random = uniform(1);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = (from: readonly string[]): string => from[below(from.length)] ?? "";
  const values = new Float32Array((count + queries) * dimensions);
  for (let i = 0; i < values.length; i++) values[i] = random() - 0.5;
  const vectorAt = (row: number): Float32Array => values.subarray(row * dimensions, (row + 1) * dimensions);
  const records = Array.from(
    { length: count },
    (_, i): FilmRecord => ({
      id: `film-${(i * 2654435761) % 4294967296}`,
      vector: vectorAt(i),
      metadata: {
        title: `${pick(WORDS)} ${pick(WORDS)} ${pick(WORDS)} ${i}`,
        year: 1920 + Math.floor(105 * Math.sqrt(random())),
        lang: LANGUAGES[Math.floor(LANGUAGES.length * random() ** 3)] ?? "en",
        tags: Array.from({ length: 1 + below(3) }, () => `genre-${below(40)}`),
        score: Math.round(random() * 1e6) / 1e5,
        studio: `studio-${below(1000)}`,
      },
    }),
  );
  return { dimensions, records, queries: Array.from({ length: queries }, (_, i) => vectorAt(count + i)) };
}

export function* groupsOf<T>(records: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < records.length; at += size) yield records.slice(at, at + size);
}
