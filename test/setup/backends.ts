/** Which backends this run has, decided once by the global set-up and handed to the test processes through the environment. */

export const GPU_VARIABLE = "NEARFIELD_TEST_GPU";
export const BROWSER_VARIABLE = "NEARFIELD_TEST_BROWSER";

/** Backends whose absence is a failure instead of a skip: `REQUIRE_BACKENDS=gpu,wasm,js,browser`. */
export function isRequired(name: "gpu" | "wasm" | "js" | "browser"): boolean {
  return (process.env["REQUIRE_BACKENDS"] ?? "").split(",").includes(name);
}

export function gpuAvailable(): boolean {
  return process.env[GPU_VARIABLE] === "yes";
}

/** How to start the browser under test, or why there is none. */
export type BrowserUnderTest =
  | { readonly executablePath: string; readonly env: Readonly<Record<string, string>> }
  | { readonly missing: string };

export function browserUnderTest(): BrowserUnderTest {
  return JSON.parse(process.env[BROWSER_VARIABLE] ?? '{"missing":"the global set-up did not run"}') as BrowserUnderTest;
}
