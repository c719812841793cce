/**
 * Which file each row lies in. Rows in memory are those of the segments and of the journal, one
 * after the other as they were written, so a row's place in its file is its number less the first
 * of its extent.
 */
import type { SegmentRef } from "../storage/segment-facts.ts";

export interface Extent {
  readonly first: number;
  readonly count: number;
  /** undefined: in the journal. */
  readonly segment: SegmentRef | undefined;
}

export class Extents {
  #list: Extent[];

  constructor(list: readonly Extent[] = []) {
    this.#list = [...list];
  }

  /** In the order of their rows. */
  get list(): readonly Extent[] {
    return this.#list;
  }

  get rowCount(): number {
    const last = this.#list.at(-1);
    return last === undefined ? 0 : last.first + last.count;
  }

  get segmentCount(): number {
    return this.#list.reduce((sum, { segment }) => sum + (segment === undefined ? 0 : 1), 0);
  }

  appendSegment(segment: SegmentRef): void {
    this.#list.push({ first: this.rowCount, count: segment.facts.count, segment });
  }

  /** Rows of the journal that follow each other are one extent. */
  appendJournal(count: number): void {
    const last = this.#list.at(-1);
    if (last !== undefined && last.segment === undefined) {
      this.#list[this.#list.length - 1] = { ...last, count: last.count + count };
    } else {
      this.#list.push({ first: this.rowCount, count, segment: undefined });
    }
  }

  /** Says that rows of the journal lie in segments now; the same rows, in the same order. */
  replace(list: readonly Extent[]): void {
    const last = list.at(-1);
    if ((last === undefined ? 0 : last.first + last.count) !== this.rowCount) {
      throw new Error("extents of other rows");
    }
    this.#list = [...list];
  }
}
