/** Every engine of a comparison: its package in bench/peers, and what opens it. */
import type { CaseGroup, Contender, Engine } from "../cases/case.ts";
import type { OpenContender } from "../contender.ts";
import { openNearfield } from "../nearfield-contender.ts";
import type { Vectors } from "../vectors.ts";
import { openHnswlib } from "./hnswlib.ts";
import { openLanceDbSearch } from "./lancedb-search.ts";
import { openOnnxRuntime } from "./onnxruntime.ts";
import { openOnnxRuntimeWeb } from "./onnxruntime-web.ts";
import { openOrama } from "./orama.ts";
import type { PeerPackages } from "./packages.ts";
import type { OpenPeer } from "./peer.ts";
import { openSimsimd } from "./simsimd.ts";
import { openSqliteVecSearch } from "./sqlite-vec-search.ts";
import { openTfjs } from "./tfjs.ts";
import { openUsearch } from "./usearch.ts";
import { openVectra } from "./vectra.ts";
import { openVoy } from "./voy.ts";
import { openZvec } from "./zvec.ts";

interface Peer {
  readonly package: string;
  readonly open: OpenPeer;
}

const PEERS: Readonly<Record<Exclude<Engine, "nearfield">, Peer>> = {
  usearch: { package: "usearch", open: openUsearch },
  onnxruntime: { package: "onnxruntime-node", open: openOnnxRuntime },
  "onnxruntime-web": { package: "onnxruntime-web", open: openOnnxRuntimeWeb },
  hnswlib: { package: "hnswlib-node", open: openHnswlib },
  simsimd: { package: "simsimd", open: openSimsimd },
  "sqlite-vec": { package: "sqlite-vec", open: openSqliteVecSearch },
  lancedb: { package: "@lancedb/lancedb", open: openLanceDbSearch },
  zvec: { package: "@zvec/zvec", open: openZvec },
  voy: { package: "voy-search", open: openVoy },
  vectra: { package: "vectra", open: openVectra },
  orama: { package: "@orama/orama", open: openOrama },
  "tfjs-wasm": { package: "@tensorflow/tfjs-backend-wasm", open: (...asked) => openTfjs("wasm", ...asked) },
  "tfjs-cpu": { package: "@tensorflow/tfjs", open: (...asked) => openTfjs("cpu", ...asked) },
};

/** Resolves with the contender filled and ready. */
export async function openEngine(
  packages: PeerPackages,
  contender: Contender,
  metric: CaseGroup["metric"],
  vectors: Vectors,
): Promise<OpenContender> {
  const { engine } = contender;
  return engine === "nearfield"
    ? openNearfield(contender, metric, vectors)
    : PEERS[engine].open(packages, contender, metric, vectors);
}

/** The version of each peer among the contenders, by engine. */
export function peerVersions(packages: PeerPackages, contenders: readonly Contender[]): Record<string, string> {
  const versions: Record<string, string> = {};
  for (const { engine } of contenders)
    if (engine !== "nearfield") versions[engine] = packages.version(PEERS[engine].package);
  return versions;
}
