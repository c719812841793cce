/**
 * Reads a manifest (manifest.ts), whole, and believes nothing that does not hold together: every
 * byte of the file is covered by a checksum or must be zero, every count by the size of its block.
 */
import { countWords } from "../core/bits.ts";
import { BlockFile } from "./block-file.ts";
import { type BlockEntry, SUMMARY_BYTES } from "./block-table.ts";
import type { Fail } from "./damage.ts";
import type { ReadableFile } from "./driver.ts";
import { isTime, readU64, viewOf } from "./fields.ts";
import { checkUnused } from "./file-header.ts";
import {
  HISTORY_BYTES,
  type KeptVersion,
  type Manifest,
  MANIFEST_BLOCK,
  manifestBlockName,
  type ManifestSegment,
} from "./manifest.ts";
import { decodeSettings, decodeTags } from "./manifest-settings.ts";
import { decodeSegmentRef, SEGMENT_REF_BYTES, type SegmentRef } from "./segment-facts.ts";

/** `generation`: what the file's name says. Rejects with CORRUPT or UNSUPPORTED_FORMAT. */
export async function readManifest(file: ReadableFile, name: string, generation: number): Promise<Manifest> {
  const blocks = await BlockFile.open(file, name, "manifest", manifestBlockName);
  const summary = decodeSummary(blocks.summary, generation, blocks.failInFooter());
  const read = async (kind: number): Promise<Content> => {
    const found = blocks.entries.filter((entry) => entry.kind === kind);
    const [entry] = found;
    if (entry === undefined) return { bytes: new Uint8Array(0), count: 0, fail: blocks.failInFooter() };
    if (found.length > 1 || entry.first !== 0) blocks.failIn(entry)("a manifest has one block of this kind");
    return { bytes: await blocks.readBlock(entry), count: entry.count, fail: blocks.failIn(entry) };
  };
  const settings = await read(MANIFEST_BLOCK.settings);
  const segments = await read(MANIFEST_BLOCK.segments);
  const tags = await read(MANIFEST_BLOCK.tags);
  const history = await read(MANIFEST_BLOCK.history);
  const deleted = blocks.entries.filter((entry) => entry.kind === MANIFEST_BLOCK.deleted);
  return {
    ...summary,
    settings: decodeSettings(settings.bytes, settings.fail),
    segments: await withDeleted(decodeSegments(segments), deleted, blocks),
    tags: tags.count === 0 ? new Map() : decodeTags(tags.bytes, tags.count, summary.version, tags.fail),
    history: decodeHistory(history, summary),
  };
}

interface Content {
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly fail: Fail;
}

type Summary = Pick<Manifest, "generation" | "version" | "atMs" | "journal">;

function decodeSummary(bytes: Uint8Array, generation: number, fail: Fail): Summary {
  const view = viewOf(bytes);
  const version = readU64(view, 8);
  const atMs = view.getFloat64(16, true);
  const journal = readU64(view, 24);
  if (readU64(view, 0) !== generation) fail(`it is not generation ${generation}, as its name says`);
  if (Number.isNaN(version)) fail("the version is beyond 2^53", 8);
  if (Number.isNaN(journal)) fail("the journal's generation is beyond 2^53", 24);
  if (!isTime(atMs)) fail("the time is none", 16);
  checkUnused(bytes, 32, SUMMARY_BYTES, fail);
  return { generation, version, atMs, journal };
}

function decodeSegments({ bytes, count, fail }: Content): SegmentRef[] {
  if (bytes.length !== count * SEGMENT_REF_BYTES) fail(`${count} segments in ${bytes.length} bytes`);
  const segments: SegmentRef[] = [];
  const ids = new Set<number>();
  for (let at = 0; at < bytes.length; at += SEGMENT_REF_BYTES) {
    const segment = decodeSegmentRef(bytes, at, fail);
    ids.add(segment.id);
    segments.push(segment);
  }
  if (ids.size !== segments.length) fail("a segment is named twice");
  return segments;
}

async function withDeleted(
  segments: readonly SegmentRef[],
  entries: readonly BlockEntry[],
  blocks: BlockFile,
): Promise<ManifestSegment[]> {
  const deleted: (Uint32Array | undefined)[] = segments.map(() => undefined);
  let next = 0;
  for (const entry of entries) {
    const segment = segments[entry.first];
    const fail = blocks.failIn(entry);
    if (segment === undefined || entry.first < next) return fail("bitmaps are not in the order of their segments");
    deleted[entry.first] = await readBitmap(blocks, entry, segment.facts.count, fail);
    next = entry.first + 1;
  }
  return segments.map((segment, index) => ({ ...segment, deleted: deleted[index] }));
}

async function readBitmap(blocks: BlockFile, entry: BlockEntry, rows: number, fail: Fail): Promise<Uint32Array> {
  const words = Math.ceil(rows / 32);
  if (entry.length !== words * 4) fail(`a bitmap of ${entry.length} bytes for ${rows} records`);
  const bytes = await blocks.readBlock(entry);
  const bitmap = new Uint32Array(bytes.buffer, bytes.byteOffset, words);
  const spare = rows % 32 === 0 ? 0 : (bitmap[words - 1] ?? 0) >>> (rows % 32);
  if (spare !== 0) fail("records beyond the last are deleted", entry.length - 4);
  if (entry.count < 1 || countWords(bitmap, 0, words) !== entry.count) fail("not as many are deleted as it says");
  return bitmap;
}

function decodeHistory({ bytes, count, fail }: Content, newest: Summary): KeptVersion[] {
  if (bytes.length !== count * HISTORY_BYTES) fail(`${count} kept versions in ${bytes.length} bytes`);
  const view = viewOf(bytes);
  const history: KeptVersion[] = [];
  let last = -1;
  for (let at = 0; at < bytes.length; at += HISTORY_BYTES) {
    const version = readU64(view, at);
    const generation = readU64(view, at + 8);
    const atMs = view.getFloat64(at + 16, true);
    const liveRows = readU64(view, at + 24);
    // Written so that NaN fails.
    const follows = version > last && version <= newest.version && generation <= newest.generation;
    if (!follows || !isTime(atMs) || !(liveRows >= 0)) fail("a kept version does not follow the one before it", at);
    history.push({ version, generation, atMs, liveRows });
    last = version;
  }
  return history;
}
