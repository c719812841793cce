/**
 * Before all tests: builds the package (workers cannot load TypeScript on Node 20, and users get
 * dist anyway), unpacks software Vulkan and Chromium, and says which backends this run has. The
 * environment set here is inherited by the test processes, which start afterwards.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { build } from "vite";
import { BROWSER_VARIABLE, GPU_VARIABLE, isRequired } from "./backends.ts";
import { browserOf, nativeAssets } from "./chromium-assets.ts";

const root = process.cwd();

export default async function setUp(): Promise<void> {
  // A bundle (bench/pack-gpu-bundle) holds what was built, and not what builds it.
  if (process.env["NEARFIELD_BUNDLE"] !== "1") await build({ logLevel: "warn" });
  const result = await nativeAssets(join(root, ".cache"));
  const usesSystem = process.env["NEARFIELD_SYSTEM_GPU"] === "1";
  if ("assets" in result && !usesSystem) Object.assign(process.env, result.assets.vulkanEnv);
  const gpu = probeGpu();
  process.env[GPU_VARIABLE] = gpu.found ? "yes" : "no";
  const browser = browserOf(result);
  process.env[BROWSER_VARIABLE] = JSON.stringify(browser);
  const problems: string[] = [];
  if (!gpu.found)
    problems.push(`no WebGPU adapter: GPU tests are skipped (${"missing" in result ? result.missing : gpu.reason})`);
  if ("missing" in browser) problems.push(`no browser: browser tests are skipped (${browser.missing})`);
  for (const problem of problems) console.warn(`nearfield tests: ${problem}`);
  if ((isRequired("gpu") && !gpu.found) || (isRequired("browser") && "missing" in browser)) {
    throw new Error(`REQUIRE_BACKENDS=${process.env["REQUIRE_BACKENDS"]} is not met: ${problems.join("; ")}`);
  }
  console.info(`nearfield tests: GPU ${gpu.reason}`);
}

/** Asks in a fresh process, because the loader's environment is read at start. */
function probeGpu(): { found: boolean; reason: string } {
  const script = `
    const { create } = await import("webgpu");
    globalThis.held = create([]);
    const adapter = await globalThis.held.requestAdapter();
    console.log(adapter === null ? "" : adapter.info.vendor + " " + adapter.info.architecture + " " + adapter.info.description);
    process.exit(0);`;
  try {
    const name = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
    return { found: name !== "", reason: name === "" ? "WebGPU found no adapter" : name };
  } catch (error) {
    return { found: false, reason: String(error) };
  }
}
