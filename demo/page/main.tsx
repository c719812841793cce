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
  navigator.serviceWorker.register("./service-worker.js").catch(() => {});
}
