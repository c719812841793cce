/** Writes a manifest (manifest.ts): whole, into an empty file that is the caller's. */
import { countWords } from "../core/bits.ts";
import { STORAGE_LIMITS } from "../core/limits.ts";
import { SUMMARY_BYTES } from "./block-table.ts";
import { BlockWriter } from "./block-writer.ts";
import type { WritableFile } from "./driver.ts";
import { aligned, viewOf, writeU64 } from "./fields.ts";
import { HISTORY_BYTES, type KeptVersion, type Manifest, MANIFEST_BLOCK, type ManifestSegment } from "./manifest.ts";
import { encodeSegmentRef, SEGMENT_REF_BYTES } from "./segment-facts.ts";

/** Durable when it resolves; its name is when the caller has synced the folder. */
export async function writeManifest(file: WritableFile, manifest: Manifest): Promise<{ readonly sizeBytes: number }> {
  const { settings, segments, tags, history } = manifest;
  if (tags.size > STORAGE_LIMITS.manifestTags) throw new Error("more tags than a manifest holds");
  const writer = await BlockWriter.create(file, "manifest");
  await writeBytes(writer, MANIFEST_BLOCK.settings, 1, jsonBytes(settings));
  await writeBytes(writer, MANIFEST_BLOCK.segments, segments.length, segmentBytes(segments));
  for (const [index, { deleted }] of segments.entries()) {
    if (deleted === undefined) continue;
    const count = countWords(deleted, 0, deleted.length);
    if (count === 0) continue;
    const words = new Uint8Array(deleted.buffer, deleted.byteOffset, deleted.byteLength);
    const room = new Uint8Array(aligned(words.length));
    room.set(words);
    await writer.write(MANIFEST_BLOCK.deleted, index, count, room, words.length);
  }
  await writeBytes(writer, MANIFEST_BLOCK.tags, tags.size, tags.size === 0 ? new Uint8Array(0) : jsonBytes([...tags]));
  await writeBytes(writer, MANIFEST_BLOCK.history, history.length, historyBytes(history));
  return writer.finish(summaryBytes(manifest));
}

/** Blocks have bytes: what there is none of has no block. */
async function writeBytes(writer: BlockWriter, kind: number, count: number, bytes: Uint8Array): Promise<void> {
  if (bytes.length === 0) return;
  const room = new Uint8Array(aligned(bytes.length));
  room.set(bytes);
  await writer.write(kind, 0, count, room, bytes.length);
}

function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function segmentBytes(segments: readonly ManifestSegment[]): Uint8Array {
  const bytes = new Uint8Array(segments.length * SEGMENT_REF_BYTES);
  for (const [index, segment] of segments.entries()) encodeSegmentRef(segment, bytes, index * SEGMENT_REF_BYTES);
  return bytes;
}

function historyBytes(history: readonly KeptVersion[]): Uint8Array {
  const bytes = new Uint8Array(history.length * HISTORY_BYTES);
  const view = viewOf(bytes);
  for (const [index, { version, generation, atMs, liveRows }] of history.entries()) {
    const at = index * HISTORY_BYTES;
    writeU64(view, at, version);
    writeU64(view, at + 8, generation);
    view.setFloat64(at + 16, atMs, true);
    writeU64(view, at + 24, liveRows);
  }
  return bytes;
}

function summaryBytes({ generation, version, atMs, journal }: Manifest): Uint8Array {
  const bytes = new Uint8Array(SUMMARY_BYTES);
  const view = viewOf(bytes);
  writeU64(view, 0, generation);
  writeU64(view, 8, version);
  view.setFloat64(16, atMs, true);
  writeU64(view, 24, journal);
  return bytes;
}
