/** Draw a digit, and see the handwritten ones that are most like it. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { decodeDigits } from "../../data/digit-file.ts";
import { DATA_FILES, type DataFile, loadData } from "../data-files.ts";
import { showEngine } from "../engine/engine.ts";
import { Opened, Opening } from "../opening.tsx";
import { DigitSpace, majorityOf } from "./digit-space.ts";
import { Likenesses } from "./likenesses.tsx";
import { normalise } from "./normalise.ts";
import { Pad } from "./pad.ts";
import { DigitSession, VOTERS } from "./session.ts";
import "./digits.css";

const DIGITS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

const { digits: file } = DATA_FILES;
const opening = file === null ? undefined : new Opening((onProgress) => load(file, onProgress));

async function load(from: DataFile, onProgress: (bytes: number) => void): Promise<DigitSession> {
  const table = decodeDigits(new Uint8Array(await loadData(from.url, onProgress)));
  return new DigitSession(await DigitSpace.open(table));
}

export function Digits(): JSX.Element {
  return (
    <section class="digits" aria-labelledby="digits-title">
      <h1 id="digits-title">Draw a digit</h1>
      {opening === undefined ? (
        <p class="notice">
          This build has no handwritten digits: the licence of the MNIST data is unclear, so they are not handed on. To
          build the page with them for yourself, run <code>npm run demo:build -- --with-mnist</code>.
        </p>
      ) : (
        <Opened opening={opening} what="the digits">
          {(session) => <Drawing session={session} />}
        </Opened>
      )}
    </section>
  );
}

function Drawing({ session }: { readonly session: DigitSession }): JSX.Element {
  const { space } = session;
  const canvas = useRef<HTMLCanvasElement>(null);
  const pad = useRef<Pad>(null);
  useEffect(() => {
    showEngine(space.engine);
    return () => showEngine(undefined);
  }, [space]);
  useEffect(() => {
    if (canvas.current === null) return undefined;
    const opened = new Pad(canvas.current, () =>
      session.ask(() => {
        const pixels = normalise(opened.read());
        return pixels === undefined ? undefined : { pixels };
      }),
    );
    pad.current = opened;
    // The sheet is new, so what the last one showed is no answer any more.
    session.ask(() => undefined);
    return () => opened.dispose();
  }, [session]);
  const clear = (): void => {
    pad.current?.clear();
    session.ask(() => undefined);
  };
  const take = (label: number): void => {
    const row = space.example(label, Math.random());
    if (row === undefined) return;
    const image = space.image(row);
    pad.current?.show(image);
    session.ask(() => ({ pixels: Float32Array.from(image), row }));
  };
  const likenesses = session.likenesses.value;
  const majority = majorityOf(likenesses);
  return (
    <div class="digit-board">
      <div>
        <div class="digit-sheet">
          <canvas ref={canvas} class="digit-ink" data-testid="pad" role="img" aria-label="Sheet to draw a digit on" />
        </div>
        <button type="button" onClick={clear}>
          Clear
        </button>
        <fieldset class="digit-examples">
          <legend>Or take a digit that somebody wrote</legend>
          {DIGITS.map((label) => (
            <button key={label} type="button" aria-label={`Show me a ${label}`} onClick={() => take(label)}>
              {label}
            </button>
          ))}
        </fieldset>
      </div>
      <div>
        <h2>{`What most of the ${VOTERS} nearest say`}</h2>
        <p class="digit-majority" data-testid="majority" aria-live="polite">
          {majority === undefined
            ? "Nothing is drawn"
            : `${majority.label} (${majority.votes} of ${likenesses.length})`}
        </p>
        {session.failure.value !== undefined && <p role="alert">{session.failure.value}</p>}
        <Likenesses space={space} likenesses={likenesses} />
      </div>
    </div>
  );
}
