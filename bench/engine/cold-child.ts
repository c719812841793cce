/** One cold start, in a process of its own: takes a ColdShape as JSON, prints ColdSteps as JSON. */
import { clusteredRows, QUERY_BASE } from "../clustered.ts";
import type { ColdShape, ColdSteps } from "./cold-start.ts";

const { rows, dimensions } = JSON.parse(process.argv[2] ?? "{}") as ColdShape;
const vectors = clusteredRows(dimensions, 0, rows);
const query = clusteredRows(dimensions, QUERY_BASE, 1);

const times = [performance.now()];
const done = (): void => void times.push(performance.now());
const { createIndex } = await import("nearfield");
done();
const index = await createIndex({ dimensions, backend: "cpu" });
done();
await index.add(vectors);
done();
await index.search(query, { k: 10 });
done();
await index.close();

const [importMs = 0, createMs = 0, addMs = 0, answerMs = 0] = times.slice(1).map((time, i) => time - (times[i] ?? 0));
console.log(JSON.stringify({ importMs, createMs, addMs, answerMs } satisfies ColdSteps));
