/** How much work a submit gets: bounded whatever is measured, following what is. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { LIMITS } from "../../src/core/limits.ts";
import { Throughput } from "../../src/gpu/throughput.ts";

const { submitMs, submitWork, leastSubmitWork, mostSubmitWork } = LIMITS;

/** Multiply-adds a millisecond of devices from a tenth of the slowest worth using to far beyond the fastest. */
const rate = fc.double({ min: 5, max: 12, noNaN: true }).map((exponent) => 10 ** exponent);
const measurement = fc.record({
  work: fc.double({ min: 0, max: 2 ** 50, noNaN: true }),
  ms: fc.double({ min: 0, max: 1e5, noNaN: true }),
});

test("begins with the guess", () => {
  expect(new Throughput().workPerSubmit()).toBe(submitWork);
});

test("stays within its bounds, whatever is measured", () => {
  fc.assert(
    fc.property(fc.array(measurement), (measurements) => {
      const throughput = new Throughput();
      for (const { work, ms } of measurements) throughput.measured(work, ms);
      expect(throughput.workPerSubmit()).toBeGreaterThanOrEqual(leastSubmitWork);
      expect(throughput.workPerSubmit()).toBeLessThanOrEqual(mostSubmitWork);
    }),
  );
});

test("measurements too short to mean anything, and those of no work, change nothing", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 3.999, noNaN: true }),
      fc.double({ min: 0, max: 1e15, noNaN: true }),
      (ms, work) => {
        const throughput = new Throughput();
        throughput.measured(work, ms);
        throughput.measured(0, 100);
        throughput.measured(-1, 100);
        expect(throughput.workPerSubmit()).toBe(submitWork);
      },
    ),
  );
});

test("follows a steady device, whatever was measured before", () => {
  fc.assert(
    fc.property(rate, rate, (past, now) => {
      const throughput = new Throughput();
      for (let i = 0; i < 30; i++) throughput.measured(past * 10, 10);
      // 0.75¹⁰⁰ of seven orders of magnitude is nothing.
      for (let i = 0; i < 100; i++) throughput.measured(now * 20, 20);
      const ideal = Math.min(mostSubmitWork, Math.max(leastSubmitWork, now * submitMs));
      expect(throughput.workPerSubmit() / ideal).toBeGreaterThan(0.9);
      expect(throughput.workPerSubmit() / ideal).toBeLessThan(1.1);
    }),
  );
});

test("one odd measurement moves it by a quarter of the way at most", () => {
  const throughput = new Throughput();
  const before = throughput.workPerSubmit();
  throughput.measured((before / submitMs) * 2 * 100, 100); // twice as fast
  expect(throughput.workPerSubmit()).toBeCloseTo(before * 1.25, -3);
});
