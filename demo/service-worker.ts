/**
 * Makes the demo work offline after the first visit. Files of the front page are kept at once, others when they are
 * first used; names hold a hash of the content, so a kept file is never out of date. A new build has a new list, hence a
 * new script, and takes over when no page of the old one is open. Hand-written: it is two handlers; the usual library
 * brings a bundler of its own.
 */
/** Exported for nobody: a module's names are its own, and it is built as a classic script. */
export interface Build {
  readonly name: string;
  readonly front: readonly string[];
  readonly all: readonly string[];
}

/** `demoBuild` is put in front of this script by the build (service-worker-plugin.ts). */
const worker = globalThis as unknown as ServiceWorkerGlobalScope & { readonly demoBuild: Build };
const build: Build = worker.demoBuild;
const PREFIX = "nearfield-demo-";
const CACHE: string = PREFIX + build.name;
const PAGE = "./";

/** Addresses of this build's files: only these are kept. */
const known: ReadonlySet<string> = new Set(build.all.map(addressOf));

worker.addEventListener("install", (event) => {
  event.waitUntil(keep());
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(forgetOlder().then(() => worker.clients.claim()));
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  const url = new URL(request.url);
  if (request.mode === "navigate") event.respondWith(page(request));
  else if (known.has(url.origin + url.pathname)) event.respondWith(file(request));
});

/** Addresses that the page had loaded before; from the browser's own cache, mostly. */
worker.addEventListener("message", (event) => {
  const addresses: readonly unknown[] = Array.isArray(event.data) ? event.data : [];
  const ours = addresses.filter((address) => typeof address === "string").filter((address) => known.has(address));
  event.waitUntil(Promise.allSettled(ours.map((address) => file(new Request(address)))));
});

async function keep(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll([PAGE, ...build.front]);
}

async function forgetOlder(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((one) => one.startsWith(PREFIX) && one !== CACHE).map((one) => caches.delete(one)));
}

/** The kept page: it goes with the kept files. */
async function page(request: Request): Promise<Response> {
  return (await (await caches.open(CACHE)).match(addressOf(PAGE))) ?? fetch(request);
}

async function file(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request);
  if (kept !== undefined) return kept;
  const response = await fetch(request);
  // A full disk only means that the file is loaded again next time.
  if (response.ok) await cache.put(request, response.clone()).catch(() => {});
  return response;
}

function addressOf(path: string): string {
  return new URL(path, worker.registration.scope).href;
}
