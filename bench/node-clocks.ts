/** The clocks of a Node process. */
import type { Clocks } from "./interleave.ts";

export const nodeClocks: Clocks = {
  wallMs: () => performance.now(),
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
};
