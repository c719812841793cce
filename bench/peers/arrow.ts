/** Arrow tables, as LanceDB takes them fastest: typed by what is used of the package apache-arrow. */

export interface Arrow {
  readonly Table: new (columns: Record<string, unknown>) => unknown;
  readonly Vector: new (data: readonly unknown[]) => unknown;
  readonly Float32: new () => unknown;
  readonly Float64: new () => unknown;
  readonly Int32: new () => unknown;
  readonly Utf8: new () => unknown;
  readonly List: new (field: unknown) => unknown;
  readonly Field: new (name: string, type: unknown, nullable: boolean) => unknown;
  readonly FixedSizeList: new (size: number, field: unknown) => unknown;
  makeData(parts: object): unknown;
  vectorFromArray(values: readonly unknown[] | Int32Array, type: unknown): unknown;
}

/** A column of vectors that is a view of `values`, [rows × dimensions]. */
export function vectorColumn(arrow: Arrow, values: Float32Array, dimensions: number): unknown {
  const item = new arrow.Field("item", new arrow.Float32(), true);
  const child = arrow.makeData({ type: new arrow.Float32(), length: values.length, data: values });
  const type = new arrow.FixedSizeList(dimensions, item);
  return new arrow.Vector([arrow.makeData({ type, length: values.length / dimensions, child })]);
}
