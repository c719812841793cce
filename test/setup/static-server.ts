/** Serves a folder on localhost with chosen headers, as any host would. Closes with `close`. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
  ".css": "text/css",
  ".txt": "text/plain;charset=utf-8",
};

export interface StaticServer {
  readonly origin: string;
  /** Paths of the files that were asked for and sent, in order. */
  readonly served: readonly string[];
  close(): Promise<void>;
}

/** `headers` go with every file, or with what the function says for its path. */
export async function serve(
  folder: string,
  headers: Readonly<Record<string, string>> | ((path: string) => Readonly<Record<string, string>>) = {},
): Promise<StaticServer> {
  const served: string[] = [];
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
    readFile(file).then(
      (body) => {
        served.push(path);
        const extra = typeof headers === "function" ? headers(path) : headers;
        response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", ...extra });
        response.end(body);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "localhost", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    served,
    origin: `http://localhost:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
