/**
 * Matrix units of a device, as kernels can use them: which multiplication fits a tile. Pure. What
 * an adapter offers is read without types: the feature is experimental, and @webgpu/types lacks it.
 */
import type { MatrixShape, TileShape } from "./pipelines.ts";
import { tileThreads } from "./pipelines.ts";

const MATRIX_FEATURE = "chromium-experimental-subgroup-matrix";

/** An entry of `adapter.info.subgroupMatrixConfigs`. */
interface MatrixConfig {
  readonly componentType: string;
  /** Dawn in Node (webgpu 0.6) leaves it out. */
  readonly resultType?: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** What of a device matrix kernels depend on. */
export interface MatrixUnits {
  /** Lanes of its subgroups: they must be as many in all, because a tile is shared out among them. */
  readonly lanes: number;
  readonly configs: readonly MatrixConfig[];
  readonly hasHalves: boolean;
}

/** Bytes of each vector in workgroup memory at a time: CHUNKS of shaders/parts/staged.wgsl. */
const STEP_BYTES = 64;
const CHUNK_BYTES = 16;
const BYTES = { i8: 1, f16: 2 } as const;
const RESULT = { i8: "i32", f16: "f32" } as const;

/** The device's matrix units; undefined: it has none that kernels can use. */
export function matrixUnits(device: GPUDevice): MatrixUnits | undefined {
  const features: ReadonlySet<string> = device.features;
  if (!features.has(MATRIX_FEATURE) || !features.has("subgroups")) return undefined;
  const { subgroupMinSize, subgroupMaxSize } = device.adapterInfo;
  if (subgroupMaxSize === undefined || subgroupMinSize !== subgroupMaxSize) return undefined;
  const configs: unknown = Reflect.get(device.adapterInfo, "subgroupMatrixConfigs");
  if (!Array.isArray(configs)) return undefined;
  return { lanes: subgroupMaxSize, configs, hasHalves: features.has("shader-f16") };
}

/** The largest multiplication of the units that cuts the tile up without a remainder. */
export function matrixShapeFor(
  { lanes, configs, hasHalves }: MatrixUnits,
  component: MatrixShape["component"],
  tile: TileShape,
): MatrixShape | undefined {
  if (component === "f16" && !hasHalves) return undefined;
  const fitting = configs
    .filter(
      ({ componentType, resultType = RESULT[component] }) =>
        componentType === component && resultType === RESULT[component],
    )
    .map(({ M, N, K }): MatrixShape => ({ component, m: M, n: N, k: K, lanes }))
    .filter((shape) => cutsUp(tile, shape));
  return fitting.sort((a, b) => b.m * b.n * b.k - a.m * a.n * a.k)[0];
}

/** Whether the constants of shaders/parts/sum_matrix.wgsl are whole numbers. */
function cutsUp(tile: TileShape, { component, m, n, k, lanes }: MatrixShape): boolean {
  const subgroups = tileThreads(tile) / lanes;
  const down = Math.min(subgroups, 2);
  const stepBytes = k * BYTES[component];
  return (
    subgroups >= 1 &&
    [subgroups, subgroups / down, tile.queries / down / m, (tile.rows * down) / subgroups / n].every(
      Number.isInteger,
    ) &&
    stepBytes % CHUNK_BYTES === 0 &&
    STEP_BYTES % stepBytes === 0
  );
}
