/** Starts the demo: the pages, the meter of the event loop, and the service worker that makes it work offline. */
import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./app.tsx";
import { shownEngine } from "./engine/engine.ts";
import { smoothness } from "./engine/smoothness.ts";
import "./style.css";

const root = document.getElementById("app");
if (root === null) throw new Error("index.html has an element #app");
render(<App />, root);
smoothness.start();

// Absent in insecure contexts and refused in some private windows: the page works, only not offline.
if (import.meta.env.PROD && "serviceWorker" in navigator) {
  void firstEngine()
    .then(keepOffline)
    .catch(() => {});
}

/** What is kept for later shall not be in the way of what is needed now. */
function firstEngine(): Promise<void> {
  return new Promise((resolve) => {
    effect(() => {
      if (shownEngine.value !== undefined) resolve();
    });
  });
}

/** What was loaded before the service worker was there, it did not see: code that came on demand, such as the GPU's. */
async function keepOffline(): Promise<void> {
  const { serviceWorker } = navigator;
  await serviceWorker.register("./service-worker.js");
  await serviceWorker.ready;
  // From here on it sees what the page loads.
  if (serviceWorker.controller === null) {
    await new Promise((resolve) => serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
  }
  serviceWorker.controller?.postMessage(performance.getEntriesByType("resource").map(({ name }) => name));
}
