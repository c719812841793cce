/** The process that decodes Parquet and Arrow: what it answers, and that it is gone when nobody wants it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parquetWriteBuffer } from "hyparquet-writer";
import { expect, test } from "vitest";
import type { Clock } from "../../src/core/clock.ts";
import { DecoderProcess } from "../../src/io/decoder-process.ts";
import entry from "../../src/io/decoder-main.ts?module-file";
import { openVectors } from "../../src/io/open-source.ts";
import { decodersAlive, killDecoders } from "./decoders.ts";
import { fileOf, scratchFolder } from "./files.ts";

const folder = await scratchFolder();
const ENDLESS = join(import.meta.dirname, "fixtures", "endless-levels.parquet");
const ROWS = 50;

const path = await fileOf(
  folder,
  ".parquet",
  new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: "id", data: Array.from({ length: ROWS }, (_, row) => `r${row}`) },
        { name: "vector", data: Array.from({ length: ROWS }, (_, row) => [row, 0.5 - row]) },
      ],
      rowGroupSize: 20,
    }),
  ),
);

/** Whether a process keeps this one alive. */
function isKept(): boolean {
  return process.getActiveResourcesInfo().includes("ProcessWrap");
}

test("a source has a process of its own until it is closed, which keeps nobody alive meanwhile", async () => {
  const source = await openVectors(path);
  expect([decodersAlive(), isKept()]).toEqual([1, false]);
  const asked = source.batches({ size: 10 }).next();
  expect(isKept()).toBe(true);
  await asked;
  await source.close();
  expect(decodersAlive()).toBe(0);
  await source.close();
  await expect(source.batches({ size: 10 }).next()).rejects.toMatchObject({ code: "CLOSED" });
});

test("a taker may leave early, and close with a read under way", async () => {
  const source = await openVectors(path);
  for await (const batch of source.batches({ size: 10 })) {
    expect(batch.count).toBe(10);
    break;
  }
  const asked = source.batches({ size: 10 }).next();
  const closed = source.close();
  await expect(asked).rejects.toMatchObject({ code: "CLOSED" });
  await closed;
  expect(decodersAlive()).toBe(0);
});

test("two readings of a source do not disturb each other", async () => {
  const source = await openVectors(path);
  const firsts: number[][] = [[], []];
  await Promise.all(
    [
      { from: 0, size: 7 },
      { from: 23, size: 10 },
    ].map(async (options, i) => {
      for await (const { first, count, vectors, ids } of source.batches(options)) {
        firsts[i]?.push(first);
        const rows = Array.from({ length: count }, (_, row) => first + row);
        expect([...vectors]).toEqual(rows.flatMap((row) => [row, 0.5 - row]));
        expect(ids).toEqual(rows.map((row) => `r${row}`));
      }
    }),
  );
  expect(firsts).toEqual([
    [0, 7, 14, 21, 28, 35, 42, 49],
    [23, 33, 43],
  ]);
  await source.close();
});

test("what a file is refused for comes across, and no process stays", async () => {
  await expect(openVectors(path, { fields: { vector: "nope" } })).rejects.toMatchObject({
    name: "NearfieldError",
    code: "INVALID_OPTION",
    message: `got ${path}, whose first 50 rows have no list of numbers in field nope; expected the name of the field that has the vectors (fields: id, vector); --vector-field names it`,
  });
  expect(decodersAlive()).toBe(0);
});

/** Time that passes when the test says so. */
class HandClock implements Clock {
  readonly #tasks = new Set<() => void>();
  now(): number {
    return 0;
  }
  after(_ms: number, task: () => void): () => void {
    this.#tasks.add(task);
    return () => this.#tasks.delete(task);
  }
  pass(): void {
    for (const task of [...this.#tasks]) {
      this.#tasks.delete(task);
      task();
    }
  }
}

test("silence counts in ten parts, and an answer begins it anew", async () => {
  const clock = new HandClock();
  const decoder = await DecoderProcess.start({ clock });
  const open = decoder.open({ path, format: "parquet", fields: {} });
  for (let part = 0; part < 9; part++) clock.pass();
  await expect(open).resolves.toMatchObject({ dimensions: 2, rowCount: ROWS });
  const hung = decoder.open({ path: ENDLESS, format: "parquet", fields: {} });
  for (let part = 0; part < 9; part++) clock.pass();
  expect(decoder.isAlive).toBe(true);
  clock.pass();
  expect(decoder.isAlive).toBe(false);
  await expect(hung).rejects.toMatchObject({ code: "CORRUPT", message: expect.stringMatching(/within 60 s/) });
  await decoder.end();
});

test("a reader that is killed takes its decoder along, endless loop or not", async () => {
  // The decoder's standard output is the reader's, so its end is the end of both.
  const reader = spawn(
    process.execPath,
    [
      "--input-type=module",
      "--eval",
      `import { fork } from "node:child_process";
      const decoder = fork(new URL(${JSON.stringify(entry.href)}), [], {
        execArgv: [],
        serialization: "advanced",
        stdio: ["pipe", "inherit", "ignore", "ipc"],
      });
      const request = { kind: "open", path: ${JSON.stringify(ENDLESS)}, format: "parquet", fields: {} };
      decoder.on("message", () => {
        decoder.send({ id: 0, request }, () => setTimeout(() => console.log("endless"), 300));
      });`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const [line] = (await once(createInterface(reader.stdout), "line")) as unknown[];
  expect(line).toBe("endless");
  const ended = once(reader, "close");
  reader.kill("SIGKILL");
  expect(await ended).toEqual([null, "SIGKILL"]);
});

test("a decoder that dies unasked is told of by every call that waits or comes later", async () => {
  const source = await openVectors(path);
  const batches = source.batches({ size: 10 });
  await batches.next();
  killDecoders();
  await expect(
    (async () => {
      for await (const batch of batches) expect(batch.count).toBe(10);
    })(),
  ).rejects.toMatchObject({
    code: "UNSUPPORTED_FORMAT",
    message: expect.stringMatching(/ended from outside \(SIGKILL\)/),
  });
  await expect(source.batches({ size: 10 }).next()).rejects.toMatchObject({ code: "UNSUPPORTED_FORMAT" });
  await source.close();
  expect(decodersAlive()).toBe(0);
});
