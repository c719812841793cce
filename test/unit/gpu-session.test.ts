/** The life of an index's GPU: lost, asked for again one request at a time with growing delays, found or given up. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { OpenProposer, Proposer, ProposerFactory, ProposerRequest } from "../../src/core/backend.ts";
import type { EngineEvent } from "../../src/core/events.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { GpuSession } from "../../src/engine/gpu-session.ts";
import { FakeClock, settle } from "./fake-clock.ts";

const REQUEST: ProposerRequest = { acceptSoftware: true, memoryBudgetBytes: undefined, scan: "full", reason: "a test" };

interface FakeOpen extends OpenProposer {
  isClosed: boolean;
}

function fakeOpen(): FakeOpen {
  let lose: () => void = () => {};
  const lost = new Promise<string>((resolve) => {
    lose = () => resolve("reset");
  });
  const open: FakeOpen = {
    isClosed: false,
    lost,
    lose,
    proposer: {
      info: { name: "fake" },
      close: () => {
        open.isClosed = true;
      },
    } as unknown as Proposer, // all that a session asks of it
  };
  return open;
}

type Answer = "device" | "refused" | "throws" | "pending";

function setUp(delays: readonly number[], answers: readonly Answer[]) {
  const clock = new FakeClock();
  const events: EngineEvent[] = [];
  const opened: FakeOpen[] = [fakeOpen()];
  let asked = 0;
  let give: () => void = () => {};
  const factory: ProposerFactory = (request) => {
    expect(request.device).toBeUndefined();
    const answer = answers[asked++] ?? "refused";
    if (answer === "throws") return Promise.reject(new Error("odd driver"));
    if (answer === "refused") return Promise.resolve({ refused: "none here" });
    const open = fakeOpen();
    opened.push(open);
    if (answer === "device") return Promise.resolve({ open });
    return new Promise((resolve) => {
      give = () => resolve({ open });
    });
  };
  const [first] = opened;
  if (first === undefined) throw new Error("no first device");
  const session = new GpuSession(first, {
    factory,
    request: REQUEST,
    clock,
    emit: (e) => events.push(e),
    recoveryDelaysMs: delays,
  });
  return {
    clock,
    events,
    opened,
    session,
    asked: () => asked,
    give: () => give(),
    first,
    said: () => events.map(({ code }) => code),
  };
}

describe("after a loss", () => {
  test("waits for each delay in turn, then gives up, and says so once", async () => {
    const { clock, session, asked, first, said } = setUp([10, 100, 1000], ["refused", "throws", "refused"]);
    first.lose();
    await settle();
    expect(first.isClosed).toBe(true);
    expect(session).toMatchObject({ proposer: undefined, isServing: false, losses: 1, absence: "device-lost" });
    for (const [ms, wanted] of [
      [9, 0],
      [1, 1],
      [99, 1],
      [1, 2],
      [999, 2],
      [1, 3],
      [1e9, 3],
    ] as const) {
      await clock.advance(ms);
      expect(asked()).toBe(wanted);
    }
    expect(said()).toEqual(["device-lost", "device-abandoned"]);
    expect(session).toMatchObject({ proposer: undefined, isServing: false, absence: "device-lost" });
    expect(session.absenceReason).toContain("given up");
  });

  test("serves again with the first device that comes", async () => {
    const { clock, session, opened, first, said } = setUp([0, 5], ["refused", "device"]);
    first.lose();
    await settle();
    await clock.advance(5);
    expect(session.proposer).toBe(opened[1]?.proposer);
    expect(session.last).toBe(opened[1]?.proposer);
    expect(said()).toEqual(["device-lost", "device-recovered"]);
  });

  test("told of twice is one loss", async () => {
    const { clock, session, said } = setUp([0], ["device"]);
    await session.lose();
    await clock.advance(0);
    expect(session.losses).toBe(1);
    expect(said()).toEqual(["device-lost", "device-recovered"]);
  });

  test("a device that comes after close is closed, and nothing more happens", async () => {
    const { clock, session, opened, first, give, said } = setUp([0], ["pending"]);
    first.lose();
    await settle();
    await clock.advance(0);
    session.close();
    give();
    await settle();
    expect(opened[1]?.isClosed).toBe(true);
    expect(said()).toEqual(["device-lost"]);
    expect(clock.pending).toBe(0);
  });

  test("close while waiting cancels the wait", async () => {
    const { clock, session, asked, first } = setUp([10], ["device"]);
    first.lose();
    await settle();
    session.close();
    await clock.advance(100);
    expect(asked()).toBe(0);
  });
});

describe("a device that is lost again", () => {
  test("before it answered anything uses up an attempt, so that it ends", async () => {
    const { clock, opened, first, asked, said } = setUp([0, 10, 20], ["device", "device", "device", "device"]);
    first.lose();
    await settle();
    for (let i = 1; i <= 3; i++) {
      await clock.advance(20);
      expect(asked()).toBe(i);
      opened[i]?.lose();
      await settle();
    }
    await clock.advance(1e6);
    expect(asked()).toBe(3);
    expect(said().at(-1)).toBe("device-abandoned");
  });

  test.each<[string, (setUp_: ReturnType<typeof setUp>) => Promise<void> | void]>([
    ["after it answered", ({ session }) => session.proposer && session.confirm(session.proposer)],
    ["after it lasted", ({ clock }) => clock.advance(LIMITS.lastingDeviceMs)],
  ])("%s starts with the first delay", async (_, prove) => {
    const all = setUp([0, 10], ["device", "device", "device", "device"]);
    all.first.lose();
    await settle();
    for (let i = 1; i <= 4; i++) {
      await all.clock.advance(0);
      expect(all.asked()).toBe(i);
      await prove(all);
      all.opened[i]?.lose();
      await settle();
    }
    expect(all.said()).not.toContain("device-abandoned");
  });

  test("what another proposer answered proves nothing", async () => {
    const { clock, session, opened, first, asked } = setUp([0, 10], ["device", "device"]);
    first.lose();
    await settle();
    await clock.advance(0);
    session.confirm(first.proposer);
    opened[1]?.lose();
    await settle();
    await clock.advance(9);
    expect(asked()).toBe(1);
    await clock.advance(1);
    expect(asked()).toBe(2);
  });
});

test("abandoned without a loss it says so, and closes its proposer once", () => {
  const { session, first, said } = setUp([0], []);
  session.abandon("it keeps failing");
  session.abandon("again");
  expect(first.isClosed).toBe(true);
  expect(said()).toEqual(["device-abandoned"]);
  expect(session).toMatchObject({ proposer: undefined, isServing: false, absence: "gpu-abandoned", losses: 0 });
});

test("whatever the devices do: one request at a time, an end, and every device but the serving one closed", async () => {
  const answer = fc.constantFrom<Answer>("device", "refused", "throws");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(50), { maxLength: 5 }),
      fc.array(answer, { maxLength: 12 }),
      async (delays, answers) => {
        const { clock, session, opened, asked, said } = setUp(delays, answers);
        for (let i = 0; i < 40 && session.proposer !== undefined; i++) {
          opened.at(-1)?.lose();
          await settle();
          const before = asked();
          for (let step = 0; step <= delays.reduce((sum, ms) => sum + ms, 0) && session.proposer === undefined; step++)
            await clock.advance(1);
          expect(asked() - before).toBeLessThanOrEqual(delays.length);
        }
        await clock.advance(1000);
        expect(clock.pending).toBe(0);
        expect(asked()).toBeLessThanOrEqual(delays.length); // no device answered anything
        expect(said().filter((code) => code === "device-abandoned")).toHaveLength(1);
        expect(opened.every(({ isClosed }) => isClosed)).toBe(true);
      },
    ),
    { numRuns: 50 },
  );
});
