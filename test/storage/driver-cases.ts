/**
 * What every driver must do, as one table that runs in Node and on a page: no test framework in
 * here. Each case gets a folder of its own and throws when something is wrong.
 */
import type { ErrorCode } from "../../src/core/errors.ts";
import { STORAGE_LIMITS } from "../../src/core/limits.ts";
import { uniform } from "../../src/core/random.ts";
import type { StorageDriver } from "../../src/storage/driver.ts";

/** Opens a driver on the case's folder, as often as asked; what is open at the end is closed. */
export type OpenDriver = (options?: { readonly readOnly?: boolean }) => Promise<StorageDriver>;

export interface DriverCase {
  readonly name: string;
  readonly run: (open: OpenDriver) => Promise<void>;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function expectThat(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(`expected ${what}`);
}

async function expectCode(code: ErrorCode, promise: Promise<unknown>, words: readonly string[] = []): Promise<void> {
  const outcome: unknown = await promise.then(
    (value) => `resolved with ${String(value)}`,
    (error: unknown) => error,
  );
  const found = outcome instanceof Error ? Reflect.get(outcome, "code") : undefined;
  expectThat(found === code, `${code}, got ${String(outcome)}`);
  for (const word of words) expectThat(String(outcome).includes(word), `"${word}" in ${String(outcome)}`);
}

async function writeWhole(driver: StorageDriver, name: string, bytes: Uint8Array): Promise<void> {
  const file = await driver.openToWrite(name, "create");
  await file.write(0, bytes);
  await file.sync();
  await file.close();
}

async function readWhole(driver: StorageDriver, name: string): Promise<string> {
  const file = await driver.openToRead(name);
  const bytes = new Uint8Array(file.size);
  await file.read(0, bytes);
  await file.close();
  return new TextDecoder().decode(bytes);
}

async function expectText(driver: StorageDriver, name: string, wanted: string): Promise<void> {
  const got = await readWhole(driver, name);
  expectThat(got === wanted, `${JSON.stringify(wanted)} in ${name}, got ${JSON.stringify(got)}`);
}

const sorted = async (driver: StorageDriver): Promise<string> => [...(await driver.list())].sort().join(" ");

/** Bytes of a seed, the same wherever they are made. */
function noise(length: number, seed: number): Uint8Array {
  const random = uniform(seed);
  const words = new Uint32Array(Math.ceil(length / 4)).map(() => random() * 2 ** 32);
  return new Uint8Array(words.buffer, 0, length);
}

const isEqual = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** A model of a file, for random histories. */
function written(model: Uint8Array, offset: number, bytes: Uint8Array): Uint8Array {
  const next = new Uint8Array(Math.max(model.length, offset + bytes.length));
  next.set(model);
  next.set(bytes, offset);
  return next;
}

export const DRIVER_CASES: readonly DriverCase[] = [
  {
    name: "what was written, synced and closed is read by another driver",
    async run(open) {
      const driver = await open();
      await writeWhole(driver, "segment-1", text("hello"));
      await driver.syncFolder();
      await driver.close();
      await expectText(await open(), "segment-1", "hello");
      await expectText(await open({ readOnly: true }), "segment-1", "hello");
    },
  },
  {
    name: "a file that is appended to grows by what is appended, and its reader sees the size of when it was opened",
    async run(open) {
      const driver = await open();
      const journal = await driver.openToWrite("journal-1", "create");
      expectThat(journal.size === 0, "an empty file");
      await journal.write(journal.size, text("one"));
      const reader = await driver.openToRead("journal-1");
      await journal.write(journal.size, text("two"));
      expectThat(journal.size === 6, `6 bytes, got ${journal.size}`);
      expectThat(reader.size === 3, `a reader of 3 bytes, got ${reader.size}`);
      await journal.sync();
      await expectText(driver, "journal-1", "onetwo");
    },
  },
  {
    name: "a file is read while it is written, through the file that writes too",
    async run(open) {
      const driver = await open();
      const file = await driver.openToWrite("root-0", "create");
      await file.write(0, text("abcdef"));
      await file.write(2, text("XY"));
      const into = new Uint8Array(4);
      await file.read(1, into);
      expectThat(new TextDecoder().decode(into) === "bXYe", "bXYe");
      expectThat(file.size === 6, "a size that overwriting leaves alone");
    },
  },
  {
    name: "opening to modify keeps what is there, opening to create starts empty",
    async run(open) {
      const driver = await open();
      await writeWhole(driver, "root-1", text("abc"));
      const kept = await driver.openToWrite("root-1", "modify");
      expectThat(kept.size === 3, "3 bytes to modify");
      await kept.write(1, text("B"));
      await kept.close();
      await expectText(driver, "root-1", "aBc");
      await (await driver.openToWrite("root-1", "create")).close();
      await expectText(driver, "root-1", "");
    },
  },
  {
    name: "what is not there is NOT_FOUND to read and to modify, and no error to remove",
    async run(open) {
      const driver = await open();
      await expectCode("NOT_FOUND", driver.openToRead("manifest-9"), ["manifest-9"]);
      await expectCode("NOT_FOUND", driver.openToWrite("manifest-9", "modify"));
      await driver.remove("manifest-9");
      expectThat((await sorted(driver)) === "", "no file made by failing");
    },
  },
  {
    name: "reading beyond the end is CORRUPT, up to the end is not",
    async run(open) {
      const driver = await open();
      await writeWhole(driver, "segment-1", text("12345678"));
      const file = await driver.openToRead("segment-1");
      const four = new Uint8Array(4);
      await file.read(4, four);
      expectThat(new TextDecoder().decode(four) === "5678", "the last four bytes");
      await file.read(8, new Uint8Array(0));
      await expectCode("CORRUPT", file.read(5, new Uint8Array(4)), ["segment-1"]);
      await expectCode("CORRUPT", file.read(800, new Uint8Array(1)));
    },
  },
  {
    name: "truncating cuts, and a file that grows again holds zeros where it was cut and where it was skipped",
    async run(open) {
      const driver = await open();
      const file = await driver.openToWrite("journal-2", "create");
      await file.write(0, text("abcdef"));
      await file.truncate(2);
      expectThat(file.size === 2, "2 bytes left");
      await expectCode("CORRUPT", file.read(0, new Uint8Array(3)));
      await file.write(4, text("Z"));
      await file.truncate(7);
      expectThat(file.size === 7, "7 bytes");
      await file.close();
      await expectText(driver, "journal-2", "ab\0\0Z\0\0");
    },
  },
  {
    name: "random writes, truncations and reads of one file agree with a plain array",
    async run(open) {
      const driver = await open();
      const random = uniform(0xd15c);
      const below = (n: number): number => Math.floor(random() * n);
      const file = await driver.openToWrite("segment-7", "create");
      let model: Uint8Array = new Uint8Array(0);
      for (let step = 0; step < 60; step++) {
        const offset = below(model.length + 5000);
        const bytes = noise(below(20_000), step);
        if (step % 7 === 6) {
          const size = below(model.length + 100);
          await file.truncate(size);
          const cut = new Uint8Array(size);
          cut.set(model.subarray(0, size));
          model = cut;
        } else if (bytes.length > 0) {
          await file.write(offset, bytes);
          model = written(model, offset, bytes);
        }
        expectThat(file.size === model.length, `size ${model.length} after step ${step}, got ${file.size}`);
        const from = below(model.length);
        const into = new Uint8Array(below(model.length - from + 1));
        await file.read(from, into);
        expectThat(isEqual(into, model.subarray(from, from + into.length)), `the model's bytes after step ${step}`);
      }
    },
  },
  {
    name: "a long file is written and read whole, into shared memory too, at both sides of a piece's end",
    async run(open) {
      const driver = await open();
      for (const length of [
        STORAGE_LIMITS.storagePieceBytes,
        STORAGE_LIMITS.storagePieceBytes + 1,
        3 * STORAGE_LIMITS.storagePieceBytes - 1,
      ]) {
        const bytes = noise(length, length);
        const before = bytes.slice(0, 64);
        await writeWhole(driver, "segment-2", bytes);
        expectThat(bytes.length === length && isEqual(bytes.subarray(0, 64), before), "the caller's bytes left alone");
        const file = await driver.openToRead("segment-2");
        expectThat(file.size === length, `${length} bytes, got ${file.size}`);
        const views: Uint8Array[] = [new Uint8Array(length - 3)];
        // Pages that are not isolated have none.
        if (typeof SharedArrayBuffer === "function")
          views.push(new Uint8Array(new SharedArrayBuffer(length + 9), 8, length - 3));
        for (const into of views) {
          await file.read(3, into);
          expectThat(isEqual(into, bytes.subarray(3)), `the bytes of a file of ${length}`);
        }
        await file.close();
      }
    },
  },
  {
    name: "bytes in shared memory, and part of a buffer, are written as they are",
    async run(open) {
      const driver = await open();
      const whole =
        typeof SharedArrayBuffer === "function" ? new Uint8Array(new SharedArrayBuffer(16)) : new Uint8Array(16);
      whole.set(text("0123456789abcdef"));
      await writeWhole(driver, "segment-3", whole.subarray(3, 9));
      await expectText(driver, "segment-3", "345678");
    },
  },
  {
    name: "names that are there are listed, removed ones are not",
    async run(open) {
      const driver = await open();
      expectThat((await sorted(driver)) === "", "an empty folder");
      const release = await driver.lock();
      for (const name of ["root-0", "manifest-10", "segment-3"]) await writeWhole(driver, name, text(name));
      await driver.remove("manifest-10");
      await driver.syncFolder();
      expectThat((await sorted(driver)) === "root-0 segment-3", `two names, got ${await sorted(driver)}`);
      expectThat((await sorted(await open())) === "root-0 segment-3", "the same for another driver");
      await release();
    },
  },
  {
    name: "a file removed while it is open is read on, and its name is gone",
    async run(open) {
      const driver = await open();
      await writeWhole(driver, "segment-4", text("still here"));
      const reader = await driver.openToRead("segment-4");
      await driver.remove("segment-4");
      expectThat((await sorted(driver)) === "", "no name");
      await expectCode("NOT_FOUND", driver.openToRead("segment-4"));
      const into = new Uint8Array(reader.size);
      await reader.read(0, into);
      expectThat(new TextDecoder().decode(into) === "still here", "its bytes");
      await reader.close();
      await writeWhole(driver, "segment-4", text("another"));
      await expectText(driver, "segment-4", "another");
    },
  },
  {
    name: "a second writer is LOCKED until the first lets go, which it may do twice",
    async run(open) {
      const [first, second] = [await open(), await open()];
      const reader = await open({ readOnly: true });
      expectThat(!(await reader.isLocked()), "no lock at first");
      const release = await first.lock();
      expectThat((await reader.isLocked()) && (await first.isLocked()), "a lock that readers see");
      await expectCode("LOCKED", second.lock(), [first.location]);
      await expectCode("LOCKED", first.lock());
      await release();
      expectThat(!(await reader.isLocked()), "no lock any more");
      const releaseSecond = await second.lock();
      await release();
      await expectCode("LOCKED", first.lock());
      await releaseSecond();
      await (await first.lock())();
    },
  },
  {
    name: "closing a driver keeps its lock",
    async run(open) {
      const [first, second] = [await open(), await open()];
      const release = await first.lock();
      await first.close();
      await expectCode("LOCKED", second.lock());
      await release();
      await (await second.lock())();
    },
  },
  {
    name: "of many that ask for the lock at once, one gets it",
    async run(open) {
      const drivers = await Promise.all(Array.from({ length: 8 }, () => open()));
      const outcomes = await Promise.allSettled(drivers.map((driver) => driver.lock()));
      const got = outcomes.filter((outcome) => outcome.status === "fulfilled");
      expectThat(got.length === 1, `one lock, got ${got.length}`);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") await expectCode("LOCKED", Promise.reject(outcome.reason));
      }
      await got[0]?.value();
      await (await open()).lock().then((release) => release());
    },
  },
  {
    name: "a driver that may only read changes nothing, while another writes",
    async run(open) {
      const writer = await open();
      const release = await writer.lock();
      const file = await writer.openToWrite("segment-5", "create");
      await file.write(0, text("abc"));
      await file.sync();
      const driver = await open({ readOnly: true });
      expectThat(driver.isReadOnly && !writer.isReadOnly, "drivers that say what they may");
      await expectText(driver, "segment-5", "abc");
      await expectCode("READ_ONLY", driver.openToWrite("segment-6", "create"));
      await expectCode("READ_ONLY", driver.openToWrite("segment-5", "modify"));
      await expectCode("READ_ONLY", driver.remove("segment-5"));
      await expectCode("READ_ONLY", driver.lock());
      await driver.syncFolder();
      await file.write(3, text("def"));
      await expectText(driver, "segment-5", "abcdef");
      await file.close();
      await release();
    },
  },
  {
    name: "a reader of a driver that may only read goes on while the file is appended to and overwritten",
    async run(open) {
      const writer = await open();
      const file = await writer.openToWrite("journal-5", "create");
      await file.write(0, text("abc"));
      const reader = await (await open({ readOnly: true })).openToRead("journal-5");
      const into = new Uint8Array(3);
      await reader.read(0, into);
      await file.write(3, text("defghi"));
      await file.sync();
      await reader.read(0, into);
      expectThat(new TextDecoder().decode(into) === "abc", "the bytes it had");
      expectThat(reader.size === 3, "the size it had");
      await reader.close();
      await file.close();
    },
  },
  {
    name: "closing is idempotent, closes what is open, and everything afterwards is CLOSED",
    async run(open) {
      const driver = await open();
      const file = await driver.openToWrite("root-0", "create");
      await file.write(0, text("x"));
      const reader = await driver.openToRead("root-0");
      await reader.close();
      await reader.close();
      await expectCode("CLOSED", reader.read(0, new Uint8Array(1)));
      await driver.close();
      await driver.close();
      await expectCode("CLOSED", file.write(0, text("y")));
      await expectCode("CLOSED", file.sync());
      await expectCode("CLOSED", driver.list());
      await expectCode("CLOSED", driver.openToRead("root-0"));
      await expectCode("CLOSED", driver.openToWrite("root-0", "create"));
      await expectCode("CLOSED", driver.lock());
      await expectText(await open(), "root-0", "x");
    },
  },
  {
    name: "names that are not plain are refused, and none leads out of the folder",
    async run(open) {
      const driver = await open();
      for (const name of [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "/etc/passwd",
        "A",
        "LOCK",
        "ü",
        "a\0",
        "a b",
        "c:x",
        ".x",
      ]) {
        await expectCode("INVALID_OPTION", driver.openToRead(name));
        await expectCode("INVALID_OPTION", driver.openToWrite(name, "create"));
        await expectCode("INVALID_OPTION", driver.remove(name));
      }
      await expectCode("INVALID_OPTION", driver.openToWrite("a".repeat(STORAGE_LIMITS.fileNameLength + 1), "create"));
      await writeWhole(driver, "a".repeat(STORAGE_LIMITS.fileNameLength), text("x"));
      expectThat((await driver.list()).length === 1, "one file");
    },
  },
];
