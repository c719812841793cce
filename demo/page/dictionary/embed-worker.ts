/** The embedder's thread: texts to vectors, and on the first visit all glosses, so that typing never waits. */
import * as Comlink from "comlink";
import embedderUrl from "../../model/embedder.bin?url";
import { StaticEmbedder } from "../../model/static-embedder.ts";
import { embeddedText, parseSynsetLines, type Synset } from "../../synset.ts";
import { loadData } from "../data-files.ts";

export interface EmbeddedSynsets {
  readonly synsets: readonly Synset[];
  /** [synsets × dimensions], of unit length. */
  readonly vectors: Float32Array<ArrayBuffer>;
}

export interface EmbedApi {
  /** Resolves once the embedder is loaded. `glosses`: the whole address of their file, which lies beside the page and not beside this script. */
  open(glosses: string): Promise<void>;
  embed(text: string): Promise<Float32Array>;
  /** Synsets `first … first + count − 1`, fewer at the end. Loads the glosses at the first call; `forget` lets go of them. */
  synsets(first: number, count: number): Promise<EmbeddedSynsets>;
  forget(): void;
}

let embedder: Promise<StaticEmbedder> | undefined;
let glossesUrl = "";
let glosses: Promise<Synset[]> | undefined;

/** A load that failed is tried again by the next call. */
function embedderOnce(): Promise<StaticEmbedder> {
  embedder ??= loadEmbedder().catch((error: unknown) => {
    embedder = undefined;
    throw error;
  });
  return embedder;
}

function glossesOnce(): Promise<Synset[]> {
  glosses ??= loadData(glossesUrl)
    .then((bytes) => parseSynsetLines(new TextDecoder("utf-8", { fatal: true }).decode(bytes)))
    .catch((error: unknown) => {
      glosses = undefined;
      throw error;
    });
  return glosses;
}

async function loadEmbedder(): Promise<StaticEmbedder> {
  const response = await fetch(embedderUrl);
  if (!response.ok) throw new Error(`${embedderUrl}: ${response.status} ${response.statusText}`);
  return StaticEmbedder.open(new Uint8Array(await response.arrayBuffer()));
}

const api: EmbedApi = {
  async open(url) {
    glossesUrl = url;
    await embedderOnce();
  },
  async embed(text) {
    const vector = (await embedderOnce()).embed(text);
    return Comlink.transfer(vector, [vector.buffer]);
  },
  async synsets(first, count) {
    const [by, all] = await Promise.all([embedderOnce(), glossesOnce()]);
    const synsets = all.slice(first, first + count);
    const vectors = new Float32Array(synsets.length * by.dimensions);
    by.embedInto(synsets.map(embeddedText), vectors);
    return Comlink.transfer({ synsets, vectors }, [vectors.buffer]);
  },
  forget() {
    glosses = undefined;
  },
};

Comlink.expose(api);
