/** A headless Chromium with WebGPU on SwiftShader, for tests that open pages. */
import { type Browser, chromium } from "playwright-core";
import { browserUnderTest } from "./backends.ts";

const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const ARGS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function browserAvailable(): boolean {
  return !("missing" in browserUnderTest());
}

/** `hasWebGpu: false`: as on a machine whose browser finds no adapter. */
export async function launchBrowser({ hasWebGpu = true }: { hasWebGpu?: boolean } = {}): Promise<Browser> {
  const browser = browserUnderTest();
  if ("missing" in browser) throw new Error(browser.missing);
  return chromium.launch({
    executablePath: browser.executablePath,
    args: hasWebGpu ? [...ARGS, ...WEBGPU] : [...ARGS, "--disable-features=WebGPU"],
    // Without LANG navigator.language is "en-US@posix", which is no language to Intl.
    env: { ...inherited(), LANG: "en_US.UTF-8", ...browser.env },
  });
}

function inherited(): Record<string, string> {
  const env: Record<string, string> = {};
  // The Vulkan variables are meant for Dawn in Node; Chromium brings its own SwiftShader.
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !name.startsWith("VK_") && name !== "LD_LIBRARY_PATH") env[name] = value;
  }
  return env;
}
