/**
 * A process that writes to a collection until it is killed (crasher.test.ts). Before each operation
 * it says on stdout what it is about to do, after it that it was done: one JSON line each, written
 * before anything else happens.
 *
 *   node crasher.js <folder> <seed>
 */
import { writeSync } from "node:fs";
import { openCollection } from "../../dist/node.js";

const [folder, seedText] = process.argv.slice(2);
let state = Number(seedText) >>> 0;

/** xorshift32 */
function below(bound) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % bound;
}

const say = (line) => writeSync(1, `${JSON.stringify(line)}\n`);
const someIds = (count) => Array.from({ length: count }, () => below(300));

function operation(step) {
  const kind = below(40);
  if (kind < 22) return { kind: "upsert", step, ids: [...new Set(someIds(1 + below(20)))], padding: 0 };
  if (kind < 24) return { kind: "upsert", step, ids: Array.from({ length: 160 }, (_, i) => i), padding: 60_000 };
  if (kind < 32) return { kind: "delete", ids: someIds(1 + below(10)) };
  if (kind < 36) return { kind: "delete bucket", bucket: below(7) };
  if (kind < 38) return { kind: "compact", keepVersions: 1 + below(3) };
  return { kind: "tag", name: `tag-${below(3)}` };
}

function run(collection, op) {
  switch (op.kind) {
    case "upsert":
      return collection.upsert(
        op.ids.map((id) => ({
          id: `id-${id}`,
          vector: [op.step % 1000, id, 1, 0],
          metadata: { step: op.step, bucket: id % 7, padding: "x".repeat(op.padding) },
        })),
      );
    case "delete":
      return collection.delete(op.ids.map((id) => `id-${id}`));
    case "delete bucket":
      return collection.delete({ filter: { bucket: op.bucket } });
    case "compact":
      return collection.compact({ keepVersions: op.keepVersions });
    default:
      return collection.tag(op.name);
  }
}

const collection = await openCollection(folder, { dimensions: 4, metric: "euclidean", backend: "cpu", threads: 1 });
let step = Number(seedText) * 1000;
for (;;) {
  // Mostly one after the other, sometimes several at once: those share a commit.
  const together = below(4) === 0 ? 1 + below(5) : 1;
  const operations = Array.from({ length: together }, () => operation(step++));
  say({ begin: operations });
  await Promise.all(operations.map((op) => run(collection, op)));
  say({ done: operations.length });
}
