/**
 * Who wants to know that a device was lost. One reaction to `device.lost` for each device, and
 * listeners that can be taken back: a reaction of an index's own would keep the index, its rows
 * and their memory alive as long as the device, which may be the caller's and live on.
 */

const listeners = new WeakMap<GPUDevice, Set<(reason: string) => void>>();

/** Calls back when the device is lost, with the reason; at once, on a later turn, where it already is. The returned function takes it back. */
export function onDeviceLost(device: GPUDevice, callback: (reason: string) => void): () => void {
  let all = listeners.get(device);
  if (all === undefined) {
    const made = new Set<(reason: string) => void>();
    listeners.set(device, (all = made));
    void device.lost.then((info) => {
      const reason = info.message || info.reason;
      for (const listener of made) listener(reason);
      // Whoever listens from now on is told by a reaction of its own, which runs at once.
      listeners.delete(device);
    });
  }
  const heard = all;
  heard.add(callback);
  return () => void heard.delete(callback);
}
