/** `nearfield info`: what there is on this machine, what would be used, and why. The first thing a user with a problem runs. */
import { availableParallelism, cpus } from "node:os";
import { Command } from "commander";
import type { BackendInfo } from "../core/backend.ts";
import { NearfieldError } from "../core/errors.ts";
import { createIndexOn } from "../engine/create-index.ts";
import { platform } from "../node-platform.ts";
import type { Terminal } from "./terminal.ts";
import { installedVersion, packageVersion } from "./versions.ts";

interface Info {
  readonly versions: Readonly<Record<string, string>>;
  readonly platform: string;
  readonly cpu: string;
  readonly threads: number;
  /** CPU kernels: relaxed-simd, simd128 or none. */
  readonly simd: string;
  /** What `backend: "auto"` takes here. */
  readonly backend: Pick<BackendInfo, "kind" | "name" | "reason">;
  /** What `backend: "gpu"` takes, software rasterisers included, or why there is none. */
  readonly gpu: BackendInfo | { readonly missing: string };
}

export function infoCommand(terminal: Terminal): Command {
  return new Command("info")
    .description("adapters, features, limits, threads and SIMD of this machine, and which backend is chosen")
    .option("--json", "print JSON")
    .action(async ({ json }: { json?: boolean }) => {
      const info = await collectInfo();
      await terminal.out(json === true ? `${JSON.stringify(info, undefined, 2)}\n` : described(info));
    });
}

async function collectInfo(): Promise<Info> {
  const auto = await backendOf("auto");
  const cpu = auto.kind === "cpu" ? auto : await backendOf("cpu");
  const webgpu = installedVersion("webgpu");
  return {
    versions: {
      nearfield: packageVersion(),
      node: process.versions.node,
      v8: process.versions.v8,
      ...(webgpu === undefined ? {} : { webgpu }),
    },
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    threads: availableParallelism(),
    simd: cpu.simd ?? "none",
    backend: { kind: auto.kind, name: auto.name, reason: auto.reason },
    gpu: await gpuOf(),
  };
}

async function backendOf(backend: "auto" | "cpu" | "gpu"): Promise<BackendInfo> {
  const index = await createIndexOn(platform, { dimensions: 4, backend, threads: 1 });
  try {
    return index.backend;
  } finally {
    await index.close();
  }
}

async function gpuOf(): Promise<Info["gpu"]> {
  try {
    return await backendOf("gpu");
  } catch (error) {
    if (error instanceof NearfieldError && error.code === "BACKEND_UNAVAILABLE") return { missing: error.message };
    throw error;
  }
}

function described({ versions, platform: system, cpu, threads, simd, backend, gpu }: Info): string {
  const lines: [string, string][] = [
    [
      "versions",
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(", "),
    ],
    ["platform", `${system}, ${cpu}, ${threads} threads`],
    ["CPU kernels", simd],
    ["backend", `${backend.kind} (${backend.name}): ${backend.reason}`],
  ];
  if ("missing" in gpu) {
    lines.push(["GPU", gpu.missing]);
  } else {
    lines.push(["GPU", `${gpu.name}${gpu.software ? ", a software rasteriser" : ""}`]);
    lines.push(["  features", gpu.features.length === 0 ? "none" : gpu.features.join(", ")]);
    for (const [name, limit] of Object.entries(gpu.limits)) lines.push([`  ${name}`, String(limit)]);
  }
  const width = Math.max(...lines.map(([label]) => label.length));
  return lines.map(([label, text]) => `${label.padEnd(width)}  ${text}\n`).join("");
}
