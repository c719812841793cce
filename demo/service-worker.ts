/**
 * Makes the demo work offline after the first visit. Files of the front page are kept at once, others when they are
 * first used; names hold a hash of the content, so a kept file is never out of date. A new build has a new list, hence a
 * new script, and takes over when no page of the old one is open. Hand-written: it is two handlers; the usual library
 * brings a bundler of its own.
 */
/** Exported for nobody: a module's names are its own, and it is built as a classic script. */
export interface Build {
  readonly name: string;
  /** The script that the page begins with. */
  readonly entry: string;
  readonly front: readonly string[];
  readonly all: readonly string[];
}

/** `demoBuild` is put in front of this script by the build (service-worker-plugin.ts). */
const worker = globalThis as unknown as ServiceWorkerGlobalScope & { readonly demoBuild: Build };
const build: Build = worker.demoBuild;
const PREFIX = "nearfield-demo-";
const CACHE: string = PREFIX + build.name;
const PAGE = "./";

/** Many hosts vary their answers by Origin, which the page's scripts are asked for with and these files were kept without. */
const ANYHOW: CacheQueryOptions = { ignoreVary: true };

/** Addresses of the page: nothing else on the host is ours to answer. */
const pages: ReadonlySet<string> = new Set([PAGE, "./index.html"].map(addressOf));
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
  const { origin, pathname } = new URL(request.url);
  const address = origin + pathname;
  if (pages.has(address)) event.respondWith(page(request));
  else if (known.has(address)) event.respondWith(file(request, (kept) => event.waitUntil(kept)));
});

/** Addresses that the page had loaded before; from the browser's own cache, mostly. */
worker.addEventListener("message", (event) => {
  const addresses: readonly unknown[] = Array.isArray(event.data) ? event.data : [];
  const ours = addresses.filter((address) => typeof address === "string").filter((address) => known.has(address));
  const keepOne = async (address: string): Promise<void> => {
    await file(new Request(address), (kept) => event.waitUntil(kept));
  };
  event.waitUntil(Promise.allSettled(ours.map(keepOne)));
});

/**
 * Rejects, and is tried again at the next visit, where the host gives the page of another build: the browser's own cache
 * is passed by for it, and a new version may be on its way to the host just now.
 */
async function keep(): Promise<void> {
  const cache = await caches.open(CACHE);
  const response = await fetch(addressOf(PAGE), { cache: "reload" });
  if (!response.ok || !(await response.clone().text()).includes(build.entry)) {
    throw new Error(`got a page (status ${response.status}) that does not begin with ${build.entry}`);
  }
  await Promise.all([cache.put(addressOf(PAGE), response), cache.addAll(build.front)]);
}

async function forgetOlder(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((one) => one.startsWith(PREFIX) && one !== CACHE).map((one) => caches.delete(one)));
}

/** The kept page: it goes with the kept files. */
async function page(request: Request): Promise<Response> {
  return (await (await caches.open(CACHE)).match(addressOf(PAGE), ANYHOW)) ?? fetch(request);
}

/** The kept file, or the host's, which is answered at once and kept meanwhile: `keeping` gets what to wait for. */
async function file(request: Request, keeping: (kept: Promise<void>) => void): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request, ANYHOW);
  if (kept !== undefined) return kept;
  const response = await fetch(request);
  // A full disk only means that the file is loaded again next time.
  if (response.ok) keeping(cache.put(request, response.clone()).catch(() => {}));
  return response;
}

function addressOf(path: string): string {
  return new URL(path, worker.registration.scope).href;
}
