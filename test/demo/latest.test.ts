/** One question at a time, the newest next. */
import { expect, it } from "vitest";
import { Latest } from "../../demo/page/latest.ts";

/** Answers only when told to. */
function slow(): {
  latest: Latest<string>;
  asked: string[];
  failed: unknown[];
  settle: (error?: Error) => Promise<void>;
} {
  const asked: string[] = [];
  const failed: unknown[] = [];
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const latest = new Latest<string>(
    (question) => {
      asked.push(question);
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    (error) => failed.push(error),
  );
  const settle = async (error?: Error): Promise<void> => {
    const next = waiting.shift();
    if (error === undefined) next?.resolve();
    else next?.reject(error);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { latest, asked, failed, settle };
}

it("leaves out what came while another was answered, except the last", async () => {
  const { latest, asked, settle } = slow();
  for (const question of ["a", "b", "c", "d"]) latest.ask(question);
  expect(asked).toEqual(["a"]);
  await settle();
  expect(asked).toEqual(["a", "d"]);
  await settle();
  expect(asked).toEqual(["a", "d"]);
  latest.ask("e");
  expect(asked).toEqual(["a", "d", "e"]);
});

it("tells of a failure and goes on", async () => {
  const { latest, asked, failed, settle } = slow();
  latest.ask("a");
  latest.ask("b");
  const error = new Error("lost");
  await settle(error);
  expect(failed).toEqual([error]);
  expect(asked).toEqual(["a", "b"]);
});
