/** One definition that was found: its words, what it says, how near it is, and where it leads. */
import type { JSX } from "preact";
import { highlight } from "./highlight.ts";
import type { Definition } from "./session.ts";

interface Props {
  readonly definition: Definition;
  readonly asked: string;
  /** More like this one, alone. */
  readonly onMore: () => void;
  /** Like this one too. */
  readonly onAlso: () => void;
  readonly onNot: () => void;
}

export function DefinitionItem({ definition, asked, onMore, onAlso, onNot }: Props): JSX.Element {
  const { words, part, gloss, distance } = definition;
  const [word = "", ...synonyms] = words;
  const likeness = Math.round(100 * Math.max(0, 1 - distance));
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.target !== event.currentTarget) return;
    event.preventDefault();
    onMore();
  };
  return (
    <li tabIndex={0} class="definition" onKeyDown={onKeyDown}>
      <h2>
        {word} <span class="part">{part}</span>{" "}
        {synonyms.length > 0 ? <span class="synonyms">{synonyms.join(", ")}</span> : null}
      </h2>
      <p>
        <Highlighted text={gloss} asked={asked} />
      </p>
      <div class="foot">
        <span class="likeness" title={`cosine distance ${distance.toFixed(4)}`}>
          <span class="track" aria-hidden="true">
            <span class="bar" style={{ inlineSize: `${likeness}%` }} />
          </span>
          <span class="figure">
            {likeness} %<span class="unit"> alike</span>
          </span>
        </span>
        <button type="button" class="quiet" onClick={onMore}>
          more like this<span class="visually-hidden">: {word}</span>
        </button>
        <button type="button" class="quiet" onClick={onAlso} aria-label={`also like ${word}`} title="also like this">
          +
        </button>
        <button type="button" class="quiet" onClick={onNot} aria-label={`not like ${word}`} title="not like this">
          −
        </button>
      </div>
    </li>
  );
}

function Highlighted({ text, asked }: { text: string; asked: string }): JSX.Element {
  return (
    <>{highlight(text, asked).map((piece, i) => (piece.isMatch ? <mark key={i}>{piece.text}</mark> : piece.text))}</>
  );
}
