/** Records as a film catalogue has them: what filters are measured on. Seeded, so that every run has the same. */
import { uniform } from "../../src/core/random.ts";
import type { TextColumn } from "../../src/storage/record-batch.ts";

const WORDS = "the of night day last first city river stone glass winter summer red blue long way home light".split(
  " ",
);
const LANGUAGES = ["en", "fr", "de", "ja", "es", "it", "ko", "hi", "zh", "sv", "da", "pl"];
const TAGS = Array.from({ length: 40 }, (_, i) => `genre-${i}`);
const STUDIOS = 1000;

export interface Records {
  readonly ids: TextColumn;
  readonly metadata: TextColumn;
}

/** { title, year, lang, tags, score, studio }: about 140 bytes of JSON a record; title and score hardly repeat. */
export function makeRecords(count: number): Records {
  const random = uniform(1);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = (from: readonly string[]): string => from[below(from.length)] ?? "";
  return {
    ids: column(count, (i) => `film-${(i * 2654435761) % 4294967296}`),
    metadata: column(count, (i) =>
      JSON.stringify({
        title: `${pick(WORDS)} ${pick(WORDS)} ${pick(WORDS)} ${i}`,
        year: 1920 + Math.floor(105 * Math.sqrt(random())),
        lang: LANGUAGES[Math.floor(LANGUAGES.length * random() ** 3)],
        tags: Array.from({ length: 1 + below(3) }, () => pick(TAGS)),
        score: Math.round(random() * 1e6) / 1e5,
        studio: `studio-${below(STUDIOS)}`,
      }),
    ),
  };
}

function column(count: number, textOf: (i: number) => string): TextColumn {
  const encoder = new TextEncoder();
  const offsets = new Uint32Array(count + 1);
  let bytes = new Uint8Array(count * 64);
  let end = 0;
  for (let i = 0; i < count; i++) {
    const text = textOf(i);
    if (end + text.length * 3 > bytes.length) {
      const grown = new Uint8Array(bytes.length * 2);
      grown.set(bytes);
      bytes = grown;
    }
    end += encoder.encodeInto(text, bytes.subarray(end)).written;
    offsets[i + 1] = end;
  }
  return { offsets, bytes: bytes.slice(0, end) };
}
