/** Lines of a UTF-8 file, one by one; a byte order mark and carriage returns go. A line beyond the limit is CORRUPT, whatever follows. */
import { IO_LIMITS } from "../core/limits.ts";
import { corrupt, type FileBytes } from "./file-bytes.ts";

export async function* linesOf(file: FileBytes): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let pieces: Buffer[] = [];
  let held = 0;
  const line = (offset: number): string => {
    const bytes = Buffer.concat(pieces);
    pieces = [];
    held = 0;
    try {
      return decoder.decode(bytes).replace(/\r$/, "");
    } catch (cause) {
      throw corrupt(file, offset - bytes.length, "UTF-8", cause);
    }
  };
  for (let offset = 0; offset < file.size; ) {
    const piece = Buffer.from((await file.upTo(offset, IO_LIMITS.pieceBytes)).buffer);
    let from = 0;
    for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, from)) {
      pieces.push(piece.subarray(from, at));
      from = at + 1;
      yield line(offset + at);
    }
    pieces.push(piece.subarray(from));
    held += piece.length - from;
    if (held > IO_LIMITS.lineBytes) throw corrupt(file, offset, `lines of at most ${IO_LIMITS.lineBytes} bytes`);
    offset += piece.length;
  }
  const last = line(file.size);
  if (last !== "") yield last;
}
