/**
 * Reads what is inside a line of Markdown: emphasis, code, links, math, tool calls. Text to spans, in linear time.
 * Knows nothing of blocks and elements.
 *
 * @typedef {string
 *   | {type: "strong" | "em" | "strike", children: Span[]}
 *   | {type: "code" | "math", text: string}
 *   | {type: "link", url: URL, children: Span[]}
 *   | {type: "call", number: number}
 *   | {type: "break"}} Span
 */

import { callNumber } from "./legible.js";

const PLAIN = /[^\\`*_~[\]!<$&\nh\u{f0000}-\u{ffffd}]+/uy;
const ESCAPED = /\\[!-/:-@[-`{-~]/y;
const BARE_URL = /https?:\/\/[^\s<>"`\u0080-\uffff]+/y;
const IN_ANGLES = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2000}|[\w.+-]{1,64}@[\w-][\w.-]{0,250})>/y;
const LINE_BREAK = /<br ?\/?>/iy;
const TARGET =
  /\(\s?(?:<([^<>\n]{0,2000})>|((?:[^\s<>()]|\([^\s<>()]{0,500}\)){0,2000}))(?:\s{1,3}(?:"[^"]{0,300}"|'[^']{0,300}'))?\s?\)/y;
const ENTITY = /&(?:(amp|lt|gt|quot|apos|nbsp)|#(\d{1,6})|#x([\da-f]{1,5}));/iy;
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };
const DEEPEST = 20; // runs of emphasis that are open at once; those beyond are text
const LONGEST_RUN = 3;

/**
 * @param {string} text
 * @param {{links?: boolean}} [how] without links where a link is being read: they do not nest
 * @returns {Span[]}
 */
export function parseInline(text, { links = true } = {}) {
  return new Line(text, links).read();
}

/** The address, if it is one that a link may lead to. */
export function safeUrl(text) {
  if (!/^(?:https?:\/\/|mailto:)/i.test(text)) return null;
  try {
    const url = new URL(text);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

class Line {
  #text;
  #links;
  #at = 0;
  #open = [{ mark: "", count: 0, children: [] }]; // emphasis that has begun, within what is around it
  #closers = new Map(); // where the next end of a kind is, so that nothing is searched twice

  constructor(text, links) {
    this.#text = text;
    this.#links = links;
  }

  read() {
    while (this.#at < this.#text.length) {
      this.#match(PLAIN, (found) => this.#push(found[0])) || this.#special() || this.#push(this.#character());
    }
    this.#close(1);
    return this.#open[0].children;
  }

  /** Reads what begins with this character, or nothing. */
  #special() {
    switch (this.#text[this.#at]) {
      case "\\":
        return this.#math("\\(", "\\)") || this.#math("\\[", "\\]") || this.#escape();
      case "`":
        return this.#code();
      case "*":
      case "_":
      case "~":
        return this.#run();
      case "[":
        return this.#link(this.#at);
      case "!":
        return this.#text[this.#at + 1] === "[" && this.#link(this.#at + 1);
      case "<":
        return this.#angles();
      case "$":
        return this.#math("$$", "$$") || this.#dollars();
      case "&":
        return this.#match(ENTITY, (found) => this.#push(entity(found)));
      case "\n":
        return this.#take(1, { type: "break" });
      case "h":
        return this.#bareUrl();
      default:
        return this.#call();
    }
  }

  #push(span) {
    const { children } = this.#open.at(-1);
    if (typeof span === "string" && typeof children.at(-1) === "string")
      children[children.length - 1] += span;
    else if (span !== "") children.push(span);
    return true;
  }

  #take(length, span) {
    this.#at += length;
    return this.#push(span);
  }

  #match(pattern, use) {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (!found) return false;
    this.#at += found[0].length;
    use(found);
    return true;
  }

  #character() {
    const character = String.fromCodePoint(this.#text.codePointAt(this.#at));
    this.#at += character.length;
    return character;
  }

  #escape() {
    if (this.#text[this.#at + 1] === "\n") return this.#take(2, { type: "break" });
    return this.#match(ESCAPED, (found) => this.#push(found[0][1]));
  }

  #call() {
    const number = callNumber(String.fromCodePoint(this.#text.codePointAt(this.#at)));
    return number !== null && this.#take(2, { type: "call", number });
  }

  // -- what is closed by the characters that opened it

  /** The first place from `from` on where `end` stands, or -1. */
  #find(end, from) {
    const known = this.#closers.get(end);
    if (known !== undefined && (known === -1 || known >= from)) return known;
    const place = this.#text.indexOf(end, from);
    this.#closers.set(end, place);
    return place;
  }

  #code() {
    const ticks = runLength(this.#text, this.#at, "`");
    const begin = this.#at + ticks;
    const places = this.#ticks().get(ticks);
    while (places.at(-1) < begin) places.pop();
    const end = places.at(-1);
    if (end === undefined) return this.#take(ticks, "`".repeat(ticks));
    const inner = this.#text.slice(begin, end).replaceAll("\n", " ");
    const padded = inner.length > 2 && inner.startsWith(" ") && inner.endsWith(" ") && inner.trim() !== "";
    return this.#take(end + ticks - this.#at, { type: "code", text: padded ? inner.slice(1, -1) : inner });
  }

  /** Where runs of backticks stand, by their length, the last one first; those that were passed are forgotten. */
  #ticks() {
    if (!this.#closers.has("ticks")) {
      const runs = [...this.#text.matchAll(/`+/g)].reverse();
      this.#closers.set(
        "ticks",
        groupBy(
          runs,
          (run) => run[0].length,
          (run) => run.index,
        ),
      );
    }
    return this.#closers.get("ticks");
  }

  #math(begin, end) {
    if (!this.#text.startsWith(begin, this.#at)) return false;
    const place = this.#find(end, this.#at + begin.length);
    if (place < 0 || (begin === "$$" && place === this.#at + 2)) return false;
    return this.#mathUntil(place + end.length);
  }

  /** `$x_1$`, and not "$5 and $10": no blank within the dollars, no digit behind. */
  #dollars() {
    const place = this.#find("$", this.#at + 1);
    if (place <= this.#at + 1) return false;
    const [first, last, behind] = [this.#at + 1, place - 1, place + 1].map((p) => this.#text[p] ?? "");
    if (/\s/.test(first) || /\s/.test(last) || /\d/.test(behind)) return false;
    return this.#mathUntil(place + 1);
  }

  #mathUntil(end) {
    return this.#take(end - this.#at, { type: "math", text: this.#text.slice(this.#at, end) });
  }

  // -- links

  #link(bracket) {
    const end = this.#links ? this.#brackets().get(bracket) : undefined;
    if (end === undefined || this.#text[end + 1] !== "(") return false;
    TARGET.lastIndex = end + 1;
    const found = TARGET.exec(this.#text);
    const url = found && safeUrl(found[1] ?? found[2]);
    if (!url) return false; // stays as it is written
    const children = parseInline(this.#text.slice(bracket + 1, end), { links: false });
    this.#at = end + 1 + found[0].length;
    return this.#push({ type: "link", url, children: children.length > 0 ? children : [url.href] });
  }

  /** Which bracket closes which. */
  #brackets() {
    let pairs = this.#closers.get("brackets");
    if (!pairs) {
      pairs = new Map();
      const open = [];
      for (const { 0: found, index } of this.#text.matchAll(/\\[\s\S]|[[\]]/g)) {
        if (found === "[") open.push(index);
        else if (found === "]" && open.length > 0) pairs.set(open.pop(), index);
      }
      this.#closers.set("brackets", pairs);
    }
    return pairs;
  }

  #angles() {
    return (
      this.#match(LINE_BREAK, () => this.#push({ type: "break" })) ||
      this.#match(IN_ANGLES, (found) => {
        const url = this.#links && safeUrl(found[1].includes(":") ? found[1] : `mailto:${found[1]}`);
        this.#push(url ? { type: "link", url, children: [found[1]] } : found[0]);
      })
    );
  }

  #bareUrl() {
    if (!this.#links || /\w/.test(before(this.#text, this.#at))) return false;
    BARE_URL.lastIndex = this.#at;
    const found = withoutPunctuation(BARE_URL.exec(this.#text)?.[0] ?? "");
    const url = safeUrl(found);
    return url !== null && this.#take(found.length, { type: "link", url, children: [found] });
  }

  // -- emphasis

  #run() {
    const mark = this.#text[this.#at];
    const length = runLength(this.#text, this.#at, mark);
    const sides = flanks(before(this.#text, this.#at), after(this.#text, this.#at + length), mark);
    this.#at += length;
    const fits = mark === "~" ? length === 2 : length <= LONGEST_RUN;
    const left = fits && sides.closes ? this.#pair(mark, length) : length;
    if (left === 0) return true;
    if (!fits || !sides.opens || this.#open.length > DEEPEST) return this.#push(mark.repeat(left));
    this.#open.push({ mark, count: left, children: [] });
    return true;
  }

  /** Closes what such a run has opened; returns how many characters of the run are left over. */
  #pair(mark, length) {
    let left = length;
    while (left > 0) {
      const place = this.#open.findLastIndex((run) => run.mark === mark);
      if (place < 0) break;
      this.#close(place + 1);
      const run = this.#open[place];
      const used = run.count >= 2 && left >= 2 ? 2 : 1;
      const type = mark === "~" ? "strike" : used === 2 ? "strong" : "em";
      const span = { type, children: run.children };
      left -= used;
      run.count -= used;
      run.children = [span];
      if (run.count === 0) {
        this.#open.pop();
        this.#push(span);
      }
    }
    return left;
  }

  /** Runs from this place on were never closed: they are text. */
  #close(from) {
    for (const run of this.#open.splice(from)) {
      this.#push(run.mark.repeat(run.count));
      for (const child of run.children) this.#push(child);
    }
  }
}

function entity([, name, decimal, hexadecimal]) {
  if (name) return ENTITIES[name.toLowerCase()];
  const code = Number.parseInt(decimal ?? hexadecimal, decimal ? 10 : 16);
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(String.fromCodePoint(code)) ? "\ufffd" : String.fromCodePoint(code);
}

function groupBy(items, keyOf, valueOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(valueOf(item));
  }
  return groups;
}

function runLength(text, at, character) {
  let end = at;
  while (text[end] === character) end++;
  return end - at;
}

function before(text, at) {
  const unit = text.charCodeAt(at - 1);
  const low = unit >= 0xdc00 && unit <= 0xdfff;
  return at === 0 ? "" : text.slice(at - (low ? 2 : 1), at);
}

function after(text, at) {
  return at < text.length ? String.fromCodePoint(text.codePointAt(at)) : "";
}

/**
 * Whether a run between two characters may open and close emphasis: CommonMark's rule, but Chinese, Japanese and
 * Korean characters count as blanks do, for those languages set none around a run.
 */
function flanks(left, right, mark) {
  const blank = { left: isBlank(left), right: isBlank(right) };
  const point = { left: isPunctuation(left), right: isPunctuation(right) };
  const opens = !blank.right && (!point.right || blank.left || point.left || isCjk(left));
  const closes = !blank.left && (!point.left || blank.right || point.right || isCjk(right));
  if (mark !== "_") return { opens, closes };
  return { opens: opens && (!closes || point.left), closes: closes && (!opens || point.right) };
}

function isBlank(character) {
  return character === "" || /\s/.test(character);
}

function isPunctuation(character) {
  return /[\p{P}\p{S}]/u.test(character);
}

function isCjk(character) {
  return /[\u3000-\u303f\uff00-\uffef\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}]/u.test(character);
}

/** A sentence may end behind an address. */
function withoutPunctuation(url) {
  const behind = url.includes("(") ? ".,;:!?'*_~]" : ".,;:!?'*_~])";
  let end = url.length;
  while (end > 0 && behind.includes(url[end - 1])) end--;
  return url.slice(0, end);
}
