/**
 * Shows a block of code: its language, a button that copies it, and the code, coloured once it is whole.
 * Knows nothing of Markdown.
 */

import { copy } from "./clipboard.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { say } from "./language.js";
import { colour } from "./syntax.js";

const LONGEST_COLOURED = 50_000; // characters

/** @param {{language: string, text: string, closed: boolean}} block */
export function codeBlock(block, content) {
  const code = h("code", { dir: "ltr" }, content);
  const label = block.language || say("code");
  const button = h("button", { class: "quiet small", onclick: () => copy(code.textContent, button) });
  button.append(icon("copy"), h("span", {}, say("copy")));
  button.setAttribute("aria-label", `${say("copy_code")}: ${label}`);
  const head = h("div", { class: "code-head" }, h("span", { class: "code-language" }, label), button);
  block.within = code;
  finish(block);
  return h(
    "div",
    { class: "code" },
    head,
    h("pre", { tabindex: "0", "aria-label": label, role: "group" }, code),
  );
}

/** Adds what was written since; false where the block must be built anew. */
export function growCode(shown, block) {
  const code = shown.within;
  const only =
    code.childNodes.length === 1 && code.firstChild.nodeType === Node.TEXT_NODE ? code.firstChild : null;
  if (!only || shown.language !== block.language || !block.text.startsWith(only.data)) return false;
  only.appendData(block.text.slice(only.data.length));
  block.within = code;
  finish(block);
  return true;
}

/** Colours what will not change any more; a tool call in it is left alone. */
function finish({ closed, language, text, within }) {
  if (!closed || text.length > LONGEST_COLOURED || within.childElementCount > 0) return;
  const pieces = colour(text, language);
  if (pieces)
    within.replaceChildren(
      ...pieces.map(([kind, piece]) => (kind ? h("span", { class: `code-${kind}` }, piece) : piece)),
    );
}
