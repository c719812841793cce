/**
 * Software Vulkan and a headless Chromium, unpacked from the npm package @sparticuz/chromium into
 * a cache folder, so that shader and browser tests run anywhere without apt-get. Only the
 * package's files are used (Linux x64), not its API. Elsewhere, and with NEARFIELD_SYSTEM_GPU=1, a local adapter and an
 * installed browser (CHROME_PATH) serve instead.
 */
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";
import { extract } from "tar-stream";
import type { BrowserUnderTest } from "./backends.ts";

interface NativeAssets {
  /** Environment that makes Dawn in Node find SwiftShader; must be set before the process starts. */
  readonly vulkanEnv: Readonly<Record<string, string>>;
  /** The Chromium binary and the environment it needs. */
  readonly chromium: { readonly executablePath: string; readonly env: Readonly<Record<string, string>> };
}

/** What stands in the way of using the npm package's binaries, or the assets. */
export type AssetsResult = { readonly assets: NativeAssets } | { readonly missing: string };

export async function nativeAssets(cacheRoot: string): Promise<AssetsResult> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    return {
      missing: `@sparticuz/chromium has no binaries for ${process.platform} ${process.arch}: shader tests need a WebGPU adapter of this machine, browser tests a Chromium named by CHROME_PATH`,
    };
  }
  // By path: the package exports neither its package.json nor its binaries.
  const packageRoot = join(process.cwd(), "node_modules", "@sparticuz", "chromium");
  const bin = join(packageRoot, "bin");
  if (!existsSync(bin)) return { missing: `${bin} is missing: run npm ci` };
  const { version } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { version: string };
  const folder = join(cacheRoot, `chromium-${version}`);
  if (!existsSync(join(folder, "complete"))) await unpack(bin, folder);
  const icd = join(folder, "vk_swiftshader_icd.json");
  const path = (first: string): string => [first, process.env["LD_LIBRARY_PATH"]].filter(Boolean).join(":");
  return {
    assets: {
      vulkanEnv: { VK_DRIVER_FILES: icd, VK_ICD_FILENAMES: icd, LD_LIBRARY_PATH: path(folder) },
      chromium: {
        executablePath: join(folder, "chromium"),
        env: { LD_LIBRARY_PATH: path(join(folder, "lib")), FONTCONFIG_FILE: fontsFile(folder) },
      },
    },
  };
}

/** Says where the fonts lie: the package's own file names folders of a Lambda function, and pictures would have no text. */
function fontsFile(folder: string): string {
  const file = join(folder, "fonts-here.conf");
  const [fonts, cache] = [join(folder, "fonts"), join(folder, "fonts-cache")];
  if (!existsSync(file))
    writeFileSync(file, `<fontconfig><dir>${fonts}</dir><cachedir>${cache}</cachedir></fontconfig>\n`);
  return file;
}

/** The browser to open pages in: the package's, or one that CHROME_PATH names. */
export function browserOf(result: AssetsResult): BrowserUnderTest {
  if ("assets" in result) return result.assets.chromium;
  const path = process.env["CHROME_PATH"];
  return path !== undefined && existsSync(path) ? { executablePath: path, env: {} } : { missing: result.missing };
}

/** Unpacks beside the final place and renames: a killed run leaves nothing that looks whole. */
async function unpack(bin: string, folder: string): Promise<void> {
  const partial = `${folder}.${process.pid}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  for (const archive of ["swiftshader", "al2023", "fonts"]) {
    await untar(join(bin, `${archive}.tar.br`), partial);
  }
  await pipeline(
    createReadStream(join(bin, "chromium.br")),
    createBrotliDecompress(),
    createWriteStream(join(partial, "chromium"), { mode: 0o755 }),
  );
  writeFileSync(join(partial, "complete"), "");
  rmSync(folder, { recursive: true, force: true });
  renameSync(partial, folder);
}

async function untar(archive: string, folder: string): Promise<void> {
  const entries = extract();
  const reading = pipeline(createReadStream(archive), createBrotliDecompress(), entries);
  for await (const entry of entries) {
    const target = join(folder, entry.header.name);
    if (entry.header.type === "directory") {
      mkdirSync(target, { recursive: true });
      entry.resume();
    } else {
      mkdirSync(dirname(target), { recursive: true });
      await pipeline(entry, createWriteStream(target, { mode: entry.header.mode ?? 0o644 }));
    }
  }
  await reading;
}
