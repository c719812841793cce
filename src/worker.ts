/**
 * `nearfield/worker`: one script for both kinds of worker, for pages whose policy forbids inlined
 * ones. Its name tells which kind it is to be.
 */
import { serveCpu } from "./cpu/worker-service.ts";
import { OPFS_WORKER_NAME, serveOpfs } from "./storage/opfs-service.ts";

if (Reflect.get(globalThis, "name") === OPFS_WORKER_NAME) serveOpfs();
else serveCpu();
