/** Starts the demo: the pages, the meter of the event loop, and the service worker that makes it work offline. */
import { render } from "preact";
import { App } from "./app.tsx";
import { smoothness } from "./engine/smoothness.ts";
import "./style.css";

const root = document.getElementById("app");
if (root === null) throw new Error("index.html has an element #app");
render(<App />, root);
smoothness.start();

// Absent in insecure contexts and refused in some private windows: the page works, only not offline.
if (import.meta.env.PROD && "serviceWorker" in navigator) {
  void keepOffline().catch(() => {});
}

/** What was loaded before the service worker was there, it did not see: code that came on demand, such as the GPU's. */
async function keepOffline(): Promise<void> {
  await navigator.serviceWorker.register("./service-worker.js");
  const { active } = await navigator.serviceWorker.ready;
  active?.postMessage(performance.getEntriesByType("resource").map(({ name }) => name));
}
