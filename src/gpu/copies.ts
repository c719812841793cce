/**
 * The row stores that are on the device, each with its copies and the choice of its codes. An index
 * has one, two while it compacts.
 */
import type { LearnDirections, RowSource } from "../core/backend.ts";
import { LIMITS } from "../core/limits.ts";
import { Residency } from "./residency.ts";
import type { UploadDeps } from "./row-upload.ts";
import { ScanChoice } from "./scan-choice.ts";
import type { GpuTuning } from "./tuning.ts";

/** One row store on the device. */
export interface Copy {
  readonly residency: Residency;
  readonly choice: ScanChoice;
}

export interface CopiesOptions extends UploadDeps {
  readonly scan: "auto" | "full" | "certified";
  readonly isSoftware: boolean;
  readonly tuning: GpuTuning | undefined;
  readonly learn: LearnDirections;
  /** Called when learning directions failed. */
  readonly onLearningFailed: (cause: unknown) => void;
}

export class Copies {
  readonly #options: CopiesOptions;
  readonly #copies = new Map<RowSource, Copy>();

  constructor(options: CopiesOptions) {
    this.#options = options;
  }

  /** A figure summed over all copies. */
  sum(of: (residency: Residency) => number): number {
    let all = 0;
    for (const { residency } of this.#copies.values()) all += of(residency);
    return all;
  }

  /** The copies of a store, brought up to its first `rowCount` rows. */
  async synchronised(source: RowSource, rowCount: number): Promise<Copy> {
    const copy = this.#copy(source);
    const { memory } = this.#options;
    copy.choice.apply(copy.residency, memory, rowCount);
    await copy.residency.sync(rowCount);
    if (copy.residency.certificate === undefined) {
      // Norms of another magnitude undo a certificate: it is made anew for them.
      copy.choice.apply(copy.residency, memory, rowCount);
      if (copy.residency.certificate !== undefined) await copy.residency.sync(rowCount);
    }
    return copy;
  }

  /** Learns what the codes should be made of, once in a while, and beside everything else. */
  learnAhead(source: RowSource): void {
    const choice = this.#copies.get(source)?.choice;
    if (choice?.shallLearn !== true) return;
    choice.learn(this.#options.slices).catch(this.#options.onLearningFailed);
  }

  release(source: RowSource): void {
    const copy = this.#copies.get(source);
    copy?.choice.stop();
    copy?.residency.dispose();
    this.#copies.delete(source);
  }

  /** Lets go of all: after a failure nobody knows which uploads arrived, and the next search sends them again. */
  forget(): void {
    for (const source of this.#copies.keys()) this.release(source);
  }

  #copy(source: RowSource): Copy {
    let copy = this.#copies.get(source);
    if (copy === undefined) {
      const { scan, isSoftware, tuning, limits, learn } = this.#options;
      copy = {
        residency: new Residency(source, this.#options),
        choice: new ScanChoice(source, {
          scan,
          isSoftware,
          memoryBudgetBytes: limits.memoryBudgetBytes,
          certifiedBytes: tuning?.certifiedBytes ?? LIMITS.certifiedBytes,
          learnRows: tuning?.learnRows ?? LIMITS.learnRows,
          learn,
        }),
      };
      this.#copies.set(source, copy);
    }
    return copy;
  }
}
