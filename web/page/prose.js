/**
 * Shows Markdown while it grows: blocks to elements. What the text behind it can no longer change is settled and
 * never read again; of the rest only what differs is built anew. Knows nothing of where the text comes from.
 */

import { codeBlock, growCode } from "./code_block.js";
import { h } from "./dom.js";
import { parseInline } from "./inline.js";
import { say } from "./language.js";
import { callNumber, cutAtCalls } from "./legible.js";
import { parseBlocks } from "./markdown.js";

const UNSETTLED = 2; // blocks at the end: a line that has not ended may yet belong to the one before it
const FIRST_HEADING = 3; // levels above are the page's own

const HALF_LINK = /!?\[([^\][\n]{0,80})(?:\]\([^\s()]{0,500})?$/;
const LONGEST_HALF = 600; // characters in which a half written link is looked for

const CHILDREN = { list: "items", quote: "blocks", item: "blocks", table: "rows" };
const BUILD = { paragraph, heading, math, rule, quote, list, item, table, row, code };

export class Prose {
  element = h("div", { class: "prose" });
  #blocks = []; // unsettled, each with its element
  #rest = ""; // their text
  #callElement;

  /** @param {(number: number) => Element} callElement what shows a tool call */
  constructor(callElement) {
    this.#callElement = callElement;
  }

  /** Text that follows; `writing` while more will. */
  append(text, { writing }) {
    this.#rest += text;
    const blocks = parseBlocks(this.#rest);
    if (writing) soften(blocks);
    reconcile(this.element, this.#blocks, blocks, this.#callElement);
    this.#blocks = blocks;
    if (writing) this.#settle();
  }

  #settle() {
    const first = this.#blocks.length - UNSETTLED;
    if (first <= 0) return;
    this.#rest = this.#rest.slice(this.#blocks[first].offset);
    this.#blocks = this.#blocks.slice(first);
  }
}

/** The last line is half written: a mark that was opened is shown as if it were closed, or not yet. */
function soften(blocks) {
  let last = blocks.at(-1);
  while (last) {
    last.source += "\u0000"; // not what the whole text would be read as
    if (last.type === "table" || !CHILDREN[last.type]) break;
    last = last[CHILDREN[last.type]].at(-1);
  }
  if (last?.type === "paragraph" || last?.type === "heading") last.text = softened(last.text);
}

function softened(text) {
  const end = text
    .slice(-LONGEST_HALF)
    .replace(/[*_~`]{1,3}$/, "")
    .replace(HALF_LINK, "$1");
  const shown = text.slice(0, -LONGEST_HALF) + end;
  if (count(shown, "`") % 2 === 1) return `${shown}\``;
  return count(shown, "**") % 2 === 1 ? `${shown}**` : shown;
}

function count(text, part) {
  return text.split(part).length - 1;
}

// -- from what is shown to what is to be shown

/** Makes the end of a parent show `blocks`, where it showed `old`. */
function reconcile(parent, old, blocks, callElement) {
  blocks.forEach((block, place) => {
    const shown = old[place];
    const same = shown?.type === block.type && shown.source === block.source;
    if (same || (shown?.type === block.type && grow(shown, block, callElement))) adopt(block, shown);
    else block.element = BUILD[block.type](block, callElement);
    if (!shown) parent.append(block.element);
    else if (shown.element !== block.element) shown.element.replaceWith(block.element);
  });
  for (const shown of old.slice(blocks.length)) shown.element.remove();
}

/** Takes over the element of a block that is alike, and those of the blocks in it. */
function adopt(block, shown) {
  block.element = shown.element;
  block.within = shown.within;
  const key = CHILDREN[block.type];
  if (key && shown.source === block.source) block[key] = shown[key];
}

/** Changes the element of a block to show a longer one, where that is possible. */
function grow(shown, block, callElement) {
  if (block.type === "code") return growCode(shown, block);
  const key = CHILDREN[block.type];
  if (!key || !sameFrame(shown, block)) return false;
  reconcile(shown.within, shown[key], block[key], callElement);
  if (block.type === "list") shown.element.classList.toggle("loose", block.loose);
  return true;
}

function sameFrame(one, other) {
  return (
    ["kind", "start", "task"].every((key) => one[key] === other[key]) &&
    ["head", "sides"].every((key) => String(one[key]) === String(other[key]))
  );
}

// -- elements of blocks

function paragraph({ text }, callElement) {
  return h("p", { dir: "auto" }, spans(parseInline(text), callElement));
}

function heading({ level, text }, callElement) {
  const tag = `h${Math.min(level + FIRST_HEADING - 1, 6)}`;
  return h(tag, { dir: "auto", class: `level-${level}` }, spans(parseInline(text), callElement));
}

function math({ text }, callElement) {
  return h("p", { class: "math" }, verbatim(text, callElement));
}

function rule() {
  return h("hr");
}

function code(block, callElement) {
  return codeBlock(block, verbatim(block.text, callElement));
}

function quote(block, callElement) {
  return filled(block, h("blockquote"), block.blocks, callElement);
}

function list(block, callElement) {
  const { start, loose } = block;
  const element = h(start === null ? "ul" : "ol", { start: start === 1 ? null : start });
  element.classList.toggle("loose", loose);
  return filled(block, element, block.items, callElement);
}

function item(block, callElement) {
  const label = say(block.task ? "task_done" : "task_open");
  const box =
    block.task !== null &&
    h("input", { type: "checkbox", disabled: true, checked: block.task, "aria-label": label });
  const within = h("div");
  filled(block, within, block.blocks, callElement);
  return h("li", { class: box ? "task" : null }, box, within);
}

function table(block, callElement) {
  const head = block.head.map((text, column) => cell("th", text, block.sides[column], callElement));
  const body = h("tbody");
  filled(block, body, block.rows, callElement);
  return h(
    "div",
    { class: "table", tabindex: "0", role: "group" },
    h("table", {}, h("thead", {}, h("tr", {}, head)), body),
  );
}

function row({ cells, sides }, callElement) {
  return h(
    "tr",
    {},
    cells.map((text, column) => cell("td", text, sides[column], callElement)),
  );
}

function cell(tag, text, side, callElement) {
  const scope = tag === "th" ? "col" : null;
  return h(tag, { scope, dir: "auto", class: side && `side-${side}` }, spans(parseInline(text), callElement));
}

/** A block whose children stand in `within`. */
function filled(block, within, children, callElement) {
  block.within = within;
  reconcile(within, [], children, callElement);
  return within;
}

// -- what is inside a line

function spans(list, callElement) {
  return list.flatMap((span) => (typeof span === "string" ? span : SPANS[span.type](span, callElement)));
}

const SPANS = {
  strong: ({ children }, callElement) => h("strong", {}, spans(children, callElement)),
  em: ({ children }, callElement) => h("em", {}, spans(children, callElement)),
  strike: ({ children }, callElement) => h("s", {}, spans(children, callElement)),
  code: ({ text }, callElement) => h("code", { dir: "ltr" }, verbatim(text, callElement)),
  math: ({ text }, callElement) => h("span", { class: "math" }, verbatim(text, callElement)),
  break: () => h("br"),
  call: ({ number }, callElement) => callElement(number),
  link,
};

/** Where a link leads is seen: behind its text, unless the text says so itself. */
function link({ url, children }, callElement) {
  const target = { href: url.href, title: url.href, target: "_blank", rel: "noopener noreferrer" };
  const element = h("a", target, spans(children, callElement));
  const place = url.host || url.pathname;
  return element.textContent.includes(place)
    ? element
    : [element, h("span", { class: "target", dir: "ltr" }, ` (${place})`)];
}

/** Text as it is, with the tool calls in it. */
function verbatim(text, callElement) {
  return cutAtCalls(text).map((piece) => {
    const number = callNumber(piece);
    return number === null ? piece : callElement(number);
  });
}
