/**
 * The JSON in a manifest: settings and tags, from bytes to checked values. Only own properties of
 * the parsed objects are looked at, and keys that are not known are passed over: a later version
 * that adds one which readers must know sets a required feature.
 */
import { LIMITS, STORAGE_LIMITS } from "../core/limits.ts";
import { type Metric, metricFits, METRICS, type Precision, PRECISIONS } from "../core/metric.ts";
import type { Fail } from "./damage.ts";
import type { CollectionSettings } from "./manifest.ts";
import { isTagName } from "./tag-payload.ts";

export function decodeSettings(bytes: Uint8Array, fail: Fail): CollectionSettings {
  if (bytes.length > STORAGE_LIMITS.settingsBytes) fail(`settings of ${bytes.length} bytes`);
  const value = parseJson(bytes, fail);
  const dimensions = own(value, "dimensions");
  const metric = METRICS.find((known) => known === own(value, "metric"));
  const precision = PRECISIONS.find((known) => known === own(value, "precision"));
  const isCount = typeof dimensions === "number" && Number.isInteger(dimensions);
  if (!isCount || dimensions < 1 || dimensions > LIMITS.maxDimensions) return fail("the dimensions are no count");
  if (metric === undefined || precision === undefined || !metricFits(metric, precision)) {
    return fail("metric and precision are none, or do not go together");
  }
  return {
    dimensions,
    metric: metric satisfies Metric,
    precision: precision satisfies Precision,
    ...model(value, fail),
  };
}

function model(settings: unknown, fail: Fail): Pick<CollectionSettings, "model"> {
  const value = own(settings, "model");
  if (value === undefined) return {};
  const name = own(value, "name");
  const revision = own(value, "revision");
  if (typeof name !== "string") return fail("the model has no name");
  if (revision === undefined) return { model: { name } };
  if (typeof revision !== "string") return fail("the model's revision is no text");
  return { model: { name, revision } };
}

/** `count`: how many there are; `newest`: no tag is of a later version. */
export function decodeTags(bytes: Uint8Array, count: number, newest: number, fail: Fail): Map<string, number> {
  if (count > STORAGE_LIMITS.manifestTags || bytes.length > count * STORAGE_LIMITS.tagBytes * 8) {
    fail(`${count} tags in ${bytes.length} bytes`);
  }
  const value = parseJson(bytes, fail);
  const tags = new Map<string, number>();
  if (!Array.isArray(value)) return fail("tags are no list");
  for (const pair of value as readonly unknown[]) {
    if (!Array.isArray(pair) || pair.length !== 2) return fail("a tag is no pair");
    const [name, version]: readonly unknown[] = pair;
    if (typeof name !== "string" || !isTagName(name)) return fail("a tag has no name");
    if (typeof version !== "number" || !Number.isSafeInteger(version) || version < 0 || version > newest) {
      return fail("a tag's version is none that there is");
    }
    tags.set(name, version);
  }
  if (tags.size !== count) fail(`${tags.size} tags instead of ${count}`);
  return tags;
}

function parseJson(bytes: Uint8Array, fail: Fail): unknown {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    return value;
  } catch {
    return fail("it is no JSON");
  }
}

function own(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  const found: unknown = Reflect.get(value, key);
  return found;
}
