/**
 * Exact arithmetic for proofs about rounding: numbers are BigInts in units of 2⁻⁹⁰⁰. Floats above
 * that unit convert exactly, sums are exact, products and roots are rounded down by one unit,
 * which no float32 or float64 rounding under test comes near.
 */
const BITS = 900n;

export type Exact = bigint;

export function exact(value: number): Exact {
  if (value === 0) return 0n;
  if (!Number.isFinite(value)) throw new RangeError(`${value} is not a number of this arithmetic`);
  let exponent = 0;
  let mantissa = value;
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2;
    exponent++;
  }
  return (BigInt(mantissa) << BITS) >> BigInt(exponent);
}

export function times(a: Exact, b: Exact): Exact {
  return (a * b) >> BITS;
}

export function over(a: Exact, b: Exact): Exact {
  return (a << BITS) / b;
}

export function root(value: Exact): Exact {
  if (value <= 0n) return 0n;
  const target = value << BITS;
  let guess = 1n << BigInt(Math.ceil(target.toString(2).length / 2));
  for (;;) {
    const next = (guess + target / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}

export function inner(a: readonly Exact[], b: readonly Exact[]): Exact {
  let sum = 0n;
  for (let i = 0; i < a.length; i++) sum += times(a[i] ?? 0n, b[i] ?? 0n);
  return sum;
}

export function norm(a: readonly Exact[]): Exact {
  return root(inner(a, a));
}

export function minus(a: readonly Exact[], b: readonly Exact[]): Exact[] {
  return a.map((value, i) => value - (b[i] ?? 0n));
}

export function absolute(a: Exact): Exact {
  return a < 0n ? -a : a;
}

/** a ≤ b, up to the rounding of `times` and `root`. */
export function atMost(a: Exact, b: Exact): boolean {
  return a <= b + (1n << (BITS - 800n));
}
