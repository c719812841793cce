/**
 * The decoder's process: opens a Parquet or Arrow file for the process that forked it and answers
 * with batches. Built as a file of its own (`dist/decoder-main.js`). It is ended by a kill, whatever it
 * is doing; what it holds are handles for reading.
 */
import { Worker } from "node:worker_threads";
import { systemClock } from "../core/clock.ts";
import { IO_LIMITS } from "../core/limits.ts";
import { arrowSource } from "./arrow.ts";
import { type DecoderReply, type DecoderRequest, failureOf, type SourceFacts } from "./decoder-api.ts";
import { FileBytes } from "./file-bytes.ts";
import { parquetSource } from "./parquet.ts";
import type { VectorBatch, VectorSource } from "./vector-source.ts";

let source: VectorSource | undefined;
const readings = new Map<number, AsyncGenerator<VectorBatch, void, void>>();
let toldAt = -Infinity;

/** Tells, now and then, that there is progress: within synchronous code too, since pipes are written to at once. */
function onProgress(): void {
  const now = systemClock.now();
  if (now - toldAt < IO_LIMITS.decoderProgressMs) return;
  toldAt = now;
  send({ kind: "progress" });
}

function send(reply: DecoderReply): void {
  process.send?.(reply);
}

async function answer(request: DecoderRequest): Promise<SourceFacts | VectorBatch | undefined> {
  switch (request.kind) {
    case "open":
      return open(request);
    case "next": {
      if (source === undefined) throw new Error("no file is open");
      const { reading, from, size } = request;
      const batches = readings.get(reading) ?? source.batches({ from, size });
      readings.set(reading, batches);
      const { value } = await batches.next();
      return value ?? undefined;
    }
    case "leave":
      await readings.get(request.reading)?.return();
      readings.delete(request.reading);
      return undefined;
    default:
      return request satisfies never;
  }
}

async function open({ path, format, fields }: DecoderRequest & { kind: "open" }): Promise<SourceFacts> {
  await source?.close();
  source = undefined;
  readings.clear();
  const file = await FileBytes.open(path);
  try {
    source = await (format === "parquet" ? parquetSource : arrowSource)(file, fields, onProgress);
  } catch (error) {
    await file.close();
    throw error;
  }
  const { dimensions, rowCount, sizeBytes } = source;
  return { dimensions, rowCount, sizeBytes };
}

process.on("message", ({ id, request }: { readonly id: number; readonly request: DecoderRequest }) => {
  answer(request)
    .then((value) => send({ kind: "done", id, value }))
    .catch((error: unknown) => send({ kind: "failed", id, failure: failureOf(error) }));
});

// A Ctrl-C reaches the whole group of processes; what it means is for the reader to say.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});

/**
 * A reader that was killed cannot end its decoder, and a decoder in an endless loop would not notice. The
 * thread does: nothing is ever written to the standard input, which closes when the reader is gone.
 */
const GUARD = `new (require("node:net").Socket)({ fd: 0 })
  .on("error", () => {})
  .on("close", () => process.kill(process.pid, "SIGKILL"))
  .resume();`;
const guard = new Worker(GUARD, { eval: true, name: "guard" });
guard.on("error", () => process.exit(1)); // without it nobody would end what hangs

send({ kind: "ready" });
