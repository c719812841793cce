/** What the bar says of the time that is left. */
import { expect, test } from "vitest";
import { timeLeft } from "../../src/cli/progress.ts";

test.each([
  [100, 0, ""],
  [0, 10, ""],
  [5, 10, ", 1 s left"],
  [590, 10, ", 59 s left"],
  [600, 10, ", 1 min left"],
  [650, 10, ", 1 min 5 s left"],
  [36_000, 10, ", 1 h left"],
  [36_650, 10, ", 1 h 1 min left"],
  [36_050, 10, ", 1 h left"],
])("%i units at %i a second: “%s”", (units, perSecond, text) => {
  expect(timeLeft(units, perSecond)).toBe(text);
});
