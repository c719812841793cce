/**
 * Parquet and Arrow files that lie about themselves: their decoders are libraries that loop for ever on
 * some and fill the memory on others. Whatever happens, the reader gets batches or a NearfieldError,
 * and no process is left.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as arrow from "apache-arrow";
import { parquetMetadata } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, test } from "vitest";
import { NearfieldError } from "../../src/core/errors.ts";
import { uniform } from "../../src/core/random.ts";
import { DecoderProcess } from "../../src/io/decoder-process.ts";
import { damage } from "./damage.ts";
import { decodersAlive } from "./decoders.ts";
import { fileOf, readAll, scratchFolder } from "./files.ts";

const folder = await scratchFolder();

const IDS = ["a", "b", "c", "d", "e", "f"];
const VECTORS = IDS.map((_, row) => [row, row + 0.5, -row]);
const KINDS = ["x", "y", "x", "x", "y", "x"];
const NOTES = ["p", null, "q", null, null, "r"];
const YEARS = [1999, 2000, 2001, 2002, 2003, 2004];

function parquetOf(codec: "SNAPPY" | "UNCOMPRESSED"): Uint8Array {
  const buffer = parquetWriteBuffer({
    codec,
    columnData: [
      { name: "id", data: IDS },
      { name: "vector", data: VECTORS },
      { name: "kind", data: KINDS, encoding: "RLE_DICTIONARY" },
      { name: "note", data: NOTES },
      { name: "year", data: YEARS },
    ],
    rowGroupSize: 4,
  });
  return new Uint8Array(buffer);
}

function tableOf(): arrow.Table {
  const list = new arrow.List(new arrow.Field("item", new arrow.Float32()));
  return new arrow.Table({
    id: arrow.vectorFromArray(IDS, new arrow.Utf8()),
    vector: arrow.vectorFromArray(VECTORS, list),
    kind: arrow.vectorFromArray(KINDS, new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32(), 1)),
    note: arrow.vectorFromArray(NOTES, new arrow.Utf8()),
    year: arrow.vectorFromArray(YEARS, new arrow.Int32()),
  });
}

/** What a small file may take here, and how long it may be silent: less than by default, so that hangs cost little. */
const SHORT = { heapBytes: 2 ** 27, silenceMs: 400 };

describe("the decoder's libraries", () => {
  /*
   * endless-levels.parquet: three rows, written by hyparquet-writer 0.17.0; one byte of the last page's header
   * is changed, so that −1397 of 3 values are null: hyparquet 1.31.5 reads runs of no values for ever.
   */
  test("endless-levels.parquet never ends, and is given up", async () => {
    const decoder = await DecoderProcess.start(SHORT);
    const reading = readAll(join(import.meta.dirname, "fixtures", "endless-levels.parquet"), { decoder });
    await expect(reading).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringMatching(/decode something of it within 0\.4 s.*the file is damaged/),
    });
    expect(decoder.isAlive).toBe(false);
    await decoder.end();
    expect(decodersAlive()).toBe(0);
  });

  /** A damaged file of the fuzz below, and one whose first length is negative: apache-arrow 21 reads on for ever, asynchronously. */
  test("an Arrow file whose lengths lead back is refused when that shows, by a decoder that stays", async () => {
    const decoder = await DecoderProcess.start();
    const table = arrow.tableToIPC(tableOf().select(["id", "vector"]), "file").slice();
    table[8] = 0xfe;
    const fixture = join(import.meta.dirname, "fixtures", "endless-reads.arrow");
    for (const path of [fixture, await fileOf(folder, ".arrow", table)]) {
      await expect(readAll(path, { decoder })).rejects.toMatchObject({
        code: "CORRUPT",
        message: expect.stringMatching(/messages one after the other/),
      });
    }
    expect(decoder.isAlive).toBe(true);
    await decoder.end();
  });

  test("a page whose levels are one run of 2³¹ − 1 takes its process's memory, not ours", async () => {
    const bytes = parquetOf("UNCOMPRESSED");
    const column = parquetMetadata(bytes.buffer as ArrayBuffer).row_groups[0]?.columns[3]?.meta_data;
    expect(column?.path_in_schema).toEqual(["note"]);
    const page = { view: new DataView(bytes.buffer), offset: Number(column?.data_page_offset) };
    expect(parquetHeader(page).data_page_header_v2).toMatchObject({ num_values: 4 });
    bytes.set([0xfe, 0xff, 0xff, 0xff, 0x0f, 1], page.offset); // the run's length × 2 in seven bits a byte, and its value
    const path = await fileOf(folder, ".parquet", bytes);
    const decoder = await DecoderProcess.start({ heapBytes: 2 ** 26 });
    await expect(readAll(path, { decoder })).rejects.toMatchObject({
      code: "UNSUPPORTED_FORMAT",
      message: expect.stringMatching(/took more than 64 MiB.*SIG.*smaller row groups.*it is damaged/),
    });
    await decoder.end();
    // By itself it is refused as well, with the heap that a file of its size gets.
    await expect(readAll(path)).rejects.toMatchObject({ code: "UNSUPPORTED_FORMAT" });
    expect(decodersAlive()).toBe(0);
  });

  test("a compressed Arrow file is whole, and not for this reader", async () => {
    const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]); // of Zstandard; nobody looks behind it
    arrow.compressionRegistry.set(arrow.CompressionType.ZSTD, { encode: (bytes) => Buffer.concat([frame, bytes]) });
    const options = { compressionType: arrow.CompressionType.ZSTD };
    const bytes = await arrow.RecordBatchFileWriter.writeAll(tableOf(), options).toUint8Array();
    await expect(readAll(await fileOf(folder, ".arrow", bytes))).rejects.toMatchObject({
      code: "UNSUPPORTED_FORMAT",
      message: expect.stringMatching(/compressed record batches.*write it without compression/),
    });
  });
});

const SEEDS = [
  { what: "Parquet by Snappy", seed: 2000, extension: ".parquet", bytes: parquetOf("SNAPPY") },
  { what: "Parquet as it is", seed: 2001, extension: ".parquet", bytes: parquetOf("UNCOMPRESSED") },
  { what: "an Arrow file", seed: 2002, extension: ".arrow", bytes: arrow.tableToIPC(tableOf(), "file") },
  { what: "an Arrow stream", seed: 2003, extension: ".arrow", bytes: arrow.tableToIPC(tableOf(), "stream") },
];
const CASES_A_FORMAT = 700;

/** Bytes before the footer of a Parquet file: pages. Damage to the rest is found before any page is read. */
function pagesOf(bytes: Uint8Array): number {
  return bytes.length - 8 - new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 8, true);
}

describe("fuzzed files", () => {
  test.each(SEEDS)(
    "$what, seed $seed: 700 damaged files are read, or refused with a NearfieldError",
    async ({ seed, extension, bytes }) => {
      const draw = uniform(seed);
      const below = (most: number): number => Math.floor(draw() * most);
      const path = join(folder, `fuzzed-${seed}${extension}`);
      let decoder = await DecoderProcess.start(SHORT);
      const counts = { read: 0, refused: 0, hung: 0, died: 0 };
      for (let i = 0; i < CASES_A_FORMAT; i++) {
        const pages = extension === ".parquet" && i % 2 === 1 ? pagesOf(bytes) : undefined;
        const damaged = pages === undefined ? damage(bytes, below) : damageInPlace(bytes, pages, below);
        await writeFile(path, damaged);
        try {
          const { vectors, dimensions, rows } = await readAll(path, { size: 1 + below(4), decoder });
          expect(vectors.length).toBe(rows.length * dimensions);
          counts.read++;
        } catch (error) {
          if (!(error instanceof NearfieldError))
            throw new Error(`seed ${seed}, case ${i}: ${Buffer.from(damaged).toString("hex")}`, { cause: error });
          if (decoder.isAlive) counts.refused++;
          else if (error.code === "CORRUPT") counts.hung++;
          else counts.died++;
        }
        if (!decoder.isAlive) {
          await decoder.end();
          expect(decodersAlive()).toBe(0);
          decoder = await DecoderProcess.start(SHORT);
        }
      }
      await decoder.end();
      expect(decodersAlive()).toBe(0);
      console.info(`fuzzed ${extension}, seed ${seed}: ${JSON.stringify(counts)}`);
      expect(counts.read).toBeGreaterThan(0);
      expect(counts.refused).toBeGreaterThan(0);
      if (extension === ".parquet") expect(counts.hung + counts.died).toBeGreaterThan(0);
    },
    120_000,
  );
});

/** Writes over one to three bytes before `end`; the length stays, so that offsets still hold. */
function damageInPlace(bytes: Uint8Array, end: number, below: (most: number) => number): Uint8Array {
  const damaged = new Uint8Array(bytes);
  for (let times = 1 + below(3); times > 0; times--) {
    const at = below(end);
    damaged[at] = below(2) === 0 ? below(256) : (damaged[at] ?? 0) ^ (1 << below(8));
  }
  return damaged;
}
