/** What filters are compiled to. The dialect's other operators are made of these (filter.ts). */

export type Predicate =
  /** All of them; everything when there are none. */
  | { readonly kind: "and"; readonly of: readonly Predicate[] }
  | { readonly kind: "or"; readonly of: readonly Predicate[] }
  | { readonly kind: "not"; readonly of: Predicate }
  | { readonly kind: "exists"; readonly key: string }
  | InPredicate
  | RangePredicate;

/** Some value of the key is one of these. */
export interface InPredicate {
  readonly kind: "in";
  readonly key: string;
  readonly values: readonly (string | number | boolean | null)[];
}

/** Some value of the key is of the bound's type and above it, below it, or equal to it. */
export interface RangePredicate {
  readonly kind: "range";
  readonly key: string;
  readonly bound: string | number;
  readonly isAbove: boolean;
  readonly isEqual: boolean;
}
