/** Cuts a long read or write into requests of bounded size, a bounded number of them at a time. Pure but for what `transfer` does. */
import { STORAGE_LIMITS } from "../core/limits.ts";

export type PieceTransfer = (offset: number, piece: Uint8Array) => Promise<void>;

/** Calls `transfer` for all of `bytes`, in order of offset; rejects with the first failure, once nothing is under way. */
export async function inPieces(
  offset: number,
  bytes: Uint8Array,
  inFlight: number,
  transfer: PieceTransfer,
): Promise<void> {
  const pieceBytes = STORAGE_LIMITS.storagePieceBytes;
  if (bytes.length === 0) return;
  if (bytes.length <= pieceBytes) return transfer(offset, bytes);
  let next = 0;
  const failures: unknown[] = [];
  const run = async (): Promise<void> => {
    while (next < bytes.length && failures.length === 0) {
      const from = next;
      next += pieceBytes;
      try {
        await transfer(offset + from, bytes.subarray(from, from + pieceBytes));
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, run));
  if (failures.length > 0) throw failures[0];
}
