/** A process of its own for each contender's turn: `node store-turn.js <contender> <json of TurnOptions>`; prints the turn as JSON. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { openNearfieldStore, type Store } from "../collections/store.ts";
import { takeTurn, type TurnOptions } from "../collections/turn.ts";
import { openLanceDb } from "./lancedb.ts";
import { PeerPackages } from "./packages.ts";
import { openSqliteVec } from "./sqlite-vec.ts";

const [contender, text = "{}"] = process.argv.slice(2);
const options = JSON.parse(text) as TurnOptions;
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

function open(folder: string, dimensions: number): Promise<Store> {
  if (contender === "nearfield") return openNearfieldStore(folder, dimensions);
  if (contender === "lancedb") return openLanceDb(new PeerPackages(root), folder, dimensions);
  if (contender === "sqlite-vec") return openSqliteVec(new PeerPackages(root), folder, dimensions);
  throw new Error(`there is no contender ${contender}`);
}

console.log(JSON.stringify(await takeTurn(open, options)));
