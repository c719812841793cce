/** The entry of the worker that handles a collection's files in browsers, inlined into the library. */
import { serveOpfs } from "./opfs-service.ts";

serveOpfs();
