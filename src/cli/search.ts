/** `nearfield search`: the nearest records to a record, or to the vectors of a file. */
import { Command } from "commander";
import type { Collection, Match, QueryOptions } from "../collection/contract.ts";
import type { Filter } from "../collection/filter.ts";
import { NearfieldError } from "../core/errors.ts";
import { openVectors } from "../io/open-source.ts";
import { atLeastOne, filterJson } from "./arguments.ts";
import { wholeBatches } from "./base-index.ts";
import type { Terminal } from "./terminal.ts";
import { withCollection } from "./with-collection.ts";

interface SearchCommandOptions {
  readonly vectorFile?: string;
  readonly like?: string;
  readonly filter?: Filter;
  readonly k: number;
  readonly json?: boolean;
}

/** Vectors of a file that are searched at a time. */
const BATCH = 256;

export function searchCommand(terminal: Terminal): Command {
  return new Command("search")
    .description("find the nearest records to one of the collection's own, or to each vector of a file")
    .argument("<collection>", "its folder")
    .option("--like <id>", "near this record, itself left out")
    .option("--vector-file <file>", "near the vectors of a file, in any format that import reads")
    .option("--filter <json>", "only records that match", filterJson)
    .option("-k, --k <matches>", "matches wanted", atLeastOne, 10)
    .option("--json", "print a line of JSON a query")
    .action((location: string, options: SearchCommandOptions) => {
      const { like, vectorFile } = options;
      if ((like === undefined) === (vectorFile === undefined)) {
        throw new NearfieldError("INVALID_OPTION", {
          got: like === undefined ? "neither --like nor --vector-file" : "both --like and --vector-file",
          expected: "one of them",
          remedy: "say what the records shall be near to",
        });
      }
      return withCollection(location, { readOnly: true }, terminal, async (collection) => {
        for await (const { query, matches } of answersOf(collection, options)) {
          await terminal.out(
            options.json === true ? `${JSON.stringify({ query, matches })}\n` : listed(query, matches),
          );
        }
      });
    });
}

interface Answer {
  /** The record's id, or that of the vector in its file, where it has one, or its row. */
  readonly query: string | number;
  readonly matches: readonly Match[];
}

async function* answersOf(
  collection: Collection,
  { like, vectorFile, filter, k }: SearchCommandOptions,
): AsyncGenerator<Answer, void, void> {
  const wanted: QueryOptions = { k, ...(filter === undefined ? {} : { filter }) };
  if (like !== undefined) {
    yield { query: like, matches: (await collection.query({ like, ...wanted })).matches };
    return;
  }
  const source = await openVectors(vectorFile ?? "");
  try {
    if (source.dimensions !== collection.dimensions) {
      throw new NearfieldError("INVALID_DIMENSIONS", {
        got: `${source.path} with vectors of ${source.dimensions} elements`,
        expected: `${collection.dimensions}, as ${collection.location} has`,
        remedy: "give vectors of the model that made the collection's",
      });
    }
    for await (const { rows, vectors, ids } of wholeBatches(source, BATCH)) {
      const { results } = await collection.queryBatch({ vectors, ...wanted });
      for (const [i, matches] of results.entries()) yield { query: ids?.[i] ?? rows[i] ?? 0, matches };
    }
  } finally {
    await source.close();
  }
}

function listed(query: string | number, matches: readonly Match[]): string {
  const ids = matches.map(({ id }) => printable(id));
  const width = Math.max(2, ...ids.map((id) => id.length));
  const lines = matches.map(
    ({ distance, metadata }, i) =>
      `${ids[i]?.padEnd(width)}  ${distance.toFixed(6)}${metadata === undefined ? "" : `  ${printable(JSON.stringify(metadata))}`}`,
  );
  return `${[`near ${printable(String(query))}`, ...lines].join("\n")}\n`;
}

/** An id may hold what a terminal would obey. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (control) =>
    JSON.stringify(control)
      .slice(1, -1)
      .replace(/^[\x7f-\x9f]$/, "\uFFFD"),
  );
}
