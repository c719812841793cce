/** Files that lie about themselves are refused with a reason, before anything of the size they claim is allocated. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { NearfieldError } from "../../src/core/errors.ts";
import { uniform } from "../../src/core/random.ts";
import { readNeighbours } from "../../src/io/open-source.ts";
import { damage } from "./damage.ts";
import { bytesOf, fileOf, npyBytes, readAll, scratchFolder } from "./files.ts";

const folder = await scratchFolder();
const body = bytesOf(Float32Array.from({ length: 12 }, (_, i) => i + 1));

function safetensors(header: string, length = header.length): Uint8Array {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(length));
  return Buffer.concat([prefix, Buffer.from(header), body]);
}

const npyHeader = (fields: string): Uint8Array => {
  const head = Buffer.alloc(10);
  head.write("\x93NUMPY", "latin1");
  head.set([1, 0], 6);
  head.writeUInt16LE(fields.length, 8);
  return Buffer.concat([head, Buffer.from(fields), body]);
};

describe("refused, with what is wrong", () => {
  test.each<[what: string, extension: string, bytes: Uint8Array | string, code: string, message: RegExp]>([
    ["npy of 2^60 rows", ".npy", npyBytes("<f4", [2 ** 60, 4], body), "CORRUPT", /below 2⁵³/],
    ["npy of 2^52 rows", ".npy", npyBytes("<f4", [2 ** 52, 4], body), "CORRUPT", /4503599627370496 rows of 4/],
    ["npy of a row too many", ".npy", npyBytes("<f4", [4, 4], body), "CORRUPT", /4 rows of 4, 192 bytes/],
    ["npy with bytes behind", ".npy", npyBytes("<f4", [2, 4], body), "CORRUPT", /the end of the file/],
    [
      "npy of a negative size",
      ".npy",
      npyHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 4)}"),
      "CORRUPT",
      /not -3/,
    ],
    ["npy of Python objects", ".npy", npyBytes("|O8", [3, 4], body), "UNSUPPORTED_FORMAT", /Python objects/],
    [
      "npy of records",
      ".npy",
      npyHeader("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (3, 4)}"),
      "UNSUPPORTED_FORMAT",
      /structured/,
    ],
    ["npy of complex numbers", ".npy", npyBytes("<c8", [3, 2], body), "UNSUPPORTED_FORMAT", /dtype <c8/],
    ["npy of one dimension", ".npy", npyBytes("<f4", [12], body), "UNSUPPORTED_FORMAT", /1 dimensions/],
    ["npy of three dimensions", ".npy", npyBytes("<f4", [3, 2, 2], body), "UNSUPPORTED_FORMAT", /3 dimensions/],
    [
      "npy of no dimension at all",
      ".npy",
      npyBytes("<f4", [3, 0], new Uint8Array(0)),
      "INVALID_DIMENSIONS",
      /0 elements/,
    ],
    ["npy of version 9", ".npy", npyBytes("<f4", [3, 4], body, { version: 9 }), "UNSUPPORTED_FORMAT", /version 9/],
    [
      "npy that would be code",
      ".npy",
      npyHeader("{'descr': __import__('os').system('true'), 'shape': (3, 4)}"),
      "CORRUPT",
      /a string/,
    ],
    ["npy without an end", ".npy", npyHeader("{'descr': '<f4'"), "CORRUPT", /more of the header/],
    [
      "npy with a header beyond the file",
      ".npy",
      npyBytes("<f4", [3, 4], body).subarray(0, 40),
      "CORRUPT",
      /of which the file has/,
    ],
    [
      "fvecs cut short",
      ".fvecs",
      Buffer.concat([bytesOf(Uint32Array.of(4)), body.subarray(0, 15)]),
      "CORRUPT",
      /whole rows of 4 elements/,
    ],
    [
      "fvecs of 2^32 − 1 elements",
      ".fvecs",
      Buffer.concat([bytesOf(Uint32Array.of(0xffffffff)), body]),
      "CORRUPT",
      /4294967295/,
    ],
    ["fvecs of no elements", ".fvecs", bytesOf(Uint32Array.of(0, 0)), "CORRUPT", /rows of 0 elements/],
    ["fvecs without a byte", ".fvecs", "", "CORRUPT", /comes first/],
    [
      "fvecs of two widths",
      ".fvecs",
      bytesOf(Uint32Array.of(1, 0, 1, 0, 3, 0)),
      "CORRUPT",
      /row 2 to have 1 elements like the first, not 3/,
    ],
    [
      "fbin of 2^32 − 1 rows",
      ".fbin",
      Buffer.concat([bytesOf(Uint32Array.of(0xffffffff, 4)), body]),
      "CORRUPT",
      /4294967295 rows/,
    ],
    [
      "fbin of 100,000 elements",
      ".fbin",
      Buffer.concat([bytesOf(Uint32Array.of(0, 100_000))]),
      "INVALID_DIMENSIONS",
      /100000/,
    ],
    ["safetensors whose header is no JSON", ".safetensors", safetensors("{nope}"), "CORRUPT", /JSON/],
    [
      "safetensors of sizes below zero",
      ".safetensors",
      safetensors('{"x":{"dtype":"F32","shape":[-1,4],"data_offsets":[0,48]}}'),
      "CORRUPT",
      /tensor x/,
    ],
    [
      "safetensors beyond the file",
      ".safetensors",
      safetensors('{"x":{"dtype":"F32","shape":[1000000,4],"data_offsets":[0,16000000]}}'),
      "CORRUPT",
      /1000000 rows/,
    ],
    [
      "safetensors whose offsets and shape differ",
      ".safetensors",
      safetensors('{"x":{"dtype":"F32","shape":[3,4],"data_offsets":[0,44]}}'),
      "CORRUPT",
      /data_offsets/,
    ],
    [
      "safetensors of BF16",
      ".safetensors",
      safetensors('{"x":{"dtype":"BF16","shape":[3,8],"data_offsets":[0,48]}}'),
      "UNSUPPORTED_FORMAT",
      /BF16/,
    ],
    ["Parquet cut short", ".parquet", "PAR1 and no more", "CORRUPT", /Parquet/],
    ["Arrow cut short", ".arrow", "ARROW1\0\0", "CORRUPT", /./],
    ["JSON lines without a vector", ".jsonl", '{"id":"a"}\n', "INVALID_OPTION", /field vector.*--vector-field/],
    ["JSON lines that are not UTF-8", ".jsonl", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d, 0x0a]), "CORRUPT", /UTF-8/],
    ["CSV without a vector", ".csv", "a,b\n1,2\n", "INVALID_OPTION", /field vector.*fields: a, b/],
    ["CSV without a row", ".csv", "id,vector\n", "UNSUPPORTED_FORMAT", /no row/],
    ["JSON lines without JSON", ".jsonl", "{\n{\n", "CORRUPT", /one of the first 2 rows: the line is no JSON/],
    ["CSV with a gap in the columns", ".csv", "vector_0,vector_2\n1,2\n", "CORRUPT", /without a gap/],
    ["an empty file", ".dat", "", "UNSUPPORTED_FORMAT", /which is empty/],
    ["a picture", ".png", Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), "UNSUPPORTED_FORMAT", /expected npy, fvecs/],
  ])("%s", async (_, extension, bytes, code, message) => {
    const read = readAll(await fileOf(folder, extension, bytes));
    await expect(read).rejects.toBeInstanceOf(NearfieldError);
    await expect(read).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test("a file that is not there, a folder, neighbours that are no rows", async () => {
    await expect(readAll(join(folder, "none.npy"))).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(readAll(folder)).rejects.toMatchObject({
      code: "INVALID_OPTION",
      message: expect.stringMatching(/a folder/),
    });
    const large = await fileOf(folder, ".npy", npyBytes("<i8", [1, 1], bytesOf(BigInt64Array.of(2n ** 40n))));
    await expect(readNeighbours(large)).rejects.toMatchObject({ code: "CORRUPT" });
    const floats = await fileOf(folder, ".npy", npyBytes("<f4", [3, 4], body));
    await expect(readNeighbours(floats)).rejects.toMatchObject({ code: "UNSUPPORTED_FORMAT" });
  });
});

/** Files that are whole, what the fuzzer damages. Parquet and Arrow are in hostile-decoded.test.ts. */
const SEEDS: readonly (readonly [extension: string, bytes: Uint8Array])[] = [
  [".npy", npyBytes("<f4", [3, 4], body)],
  [".npy", npyBytes("<f2", [6, 4], body, { version: 2, isFortran: true })],
  [
    ".fvecs",
    Buffer.concat(
      [0, 1].map((row) => Buffer.concat([bytesOf(Uint32Array.of(6)), body.subarray(row * 24, row * 24 + 24)])),
    ),
  ],
  [".bvecs", Buffer.concat([bytesOf(Uint32Array.of(48)), body])],
  [".fbin", Buffer.concat([bytesOf(Uint32Array.of(3, 4)), body])],
  [".safetensors", safetensors('{"x":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48]}}')],
  [".jsonl", Buffer.from('{"id":"a","vector":[1,2.5],"n":1}\n{"id":"b","vector":[3,4],"t":["x"]}\n')],
  [".csv", Buffer.from('id,vector_0,vector_1,name\na,1,2,"x ""y"""\nb,3,4,z\n')],
];

const CASES_A_FORMAT = 700;

describe("fuzzed files", () => {
  test.each(SEEDS.map(([extension, bytes], i) => ({ extension, bytes, seed: 1000 + i })))(
    "$extension, seed $seed: 700 damaged files are read, or refused with a NearfieldError",
    async ({ extension, bytes, seed }) => {
      const draw = uniform(seed);
      const below = (most: number): number => Math.floor(draw() * most);
      const path = join(folder, `fuzzed-${seed}${extension}`);
      let refused = 0;
      for (let i = 0; i < CASES_A_FORMAT; i++) {
        const damaged = damage(bytes, below);
        await writeFile(path, damaged);
        try {
          const { vectors, dimensions, rows } = await readAll(path, { size: 1 + below(4) });
          expect(vectors.length).toBe(rows.length * dimensions);
          // What a file of so many bytes can hold, whatever it says.
          expect(rows.length * dimensions).toBeLessThanOrEqual(damaged.length);
        } catch (error) {
          if (!(error instanceof NearfieldError))
            throw new Error(`seed ${seed}, case ${i}: ${Buffer.from(damaged).toString("hex")}`, { cause: error });
          refused++;
        }
      }
      expect(refused).toBeGreaterThan(0);
      expect(refused).toBeLessThan(CASES_A_FORMAT);
    },
    60_000,
  );
});
