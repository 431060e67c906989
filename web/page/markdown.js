/**
 * Reads Markdown as people and models write it in chats: text to blocks. HTML is text, line ends are kept.
 * Knows nothing of what is inside a line, nor of elements.
 *
 * A block's `source` is the text that it was read from: blocks of one source are alike.
 *
 * @typedef {{source: string} & (
 *   | {type: "paragraph" | "math", text: string}
 *   | {type: "heading", level: number, text: string}
 *   | {type: "code", language: string, text: string, closed: boolean}
 *   | {type: "rule"}
 *   | {type: "quote", blocks: Block[]}
 *   | {type: "list", kind: string, start: number | null, loose: boolean, items: Item[]}
 *   | {type: "table", sides: (string | null)[], head: string[], rows: Row[]})} Block
 * @typedef {{source: string, type: "item", task: boolean | null, blocks: Block[]}} Item
 * @typedef {{source: string, type: "row", cells: string[], sides: (string | null)[]}} Row
 */

const DEEPEST = 8; // quotes and lists within another; those beyond are text
const MOST_COLUMNS = 50;
const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]|$)(.*)$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}>/;
const MARKER = /^( *)([-*+]|(\d{1,9})[.)])(?=[ \t]|$)/;
const READERS = [readFence, readHeading, readRule, readQuote, readList, readTable, readMath, readParagraph];

/** @returns {(Block & {offset: number})[]} each with the place in the text at which it begins */
export function parseBlocks(text) {
  const lines = text.split("\n");
  const offsets = [];
  let offset = 0;
  for (const line of lines) {
    offsets.push(offset);
    offset += line.length + 1;
  }
  return parseLines(lines, 0).map((block) => ({ ...block, offset: offsets[block.line] }));
}

function parseLines(lines, depth) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (isBlank(lines[at])) {
      at++;
      continue;
    }
    const { next, ...block } = readBlock(lines, at, depth);
    blocks.push({ ...block, line: at, source: lines.slice(at, next).join("\n") });
    at = next;
  }
  return blocks;
}

/** The block that begins in this line, and the line after it. */
function readBlock(lines, at, depth) {
  for (const read of READERS) {
    const found = read(lines, at, depth);
    if (found) return found;
  }
}

// -- leaves

function readFence(lines, at) {
  const open = fenceOf(lines[at]);
  if (!open) return null;
  const inner = [];
  let next = at + 1;
  while (next < lines.length && !closes(lines[next], open)) inner.push(unindent(lines[next++], open.indent));
  const closed = next < lines.length;
  return {
    type: "code",
    language: open.language,
    text: inner.join("\n"),
    closed,
    next: closed ? next + 1 : next,
  };
}

function fenceOf(line) {
  const found = FENCE.exec(line);
  if (!found || (found[1][0] === "`" && found[2].includes("`"))) return null;
  const language = /^[^\s,{]{0,30}/.exec(found[2].trim())[0];
  return { indent: indentOf(line), mark: found[1], language };
}

function closes(line, open) {
  const found = FENCE.exec(line);
  return found !== null && found[1].startsWith(open.mark) && isBlank(found[2]);
}

function readHeading(lines, at) {
  const found = HEADING.exec(lines[at]);
  return (
    found && { type: "heading", level: found[1].length, text: withoutHashes(found[2].trim()), next: at + 1 }
  );
}

function withoutHashes(text) {
  let end = text.length;
  while (text[end - 1] === "#") end--;
  return end === 0 || text[end - 1] === " " ? text.slice(0, end).trim() : text;
}

function readRule(lines, at) {
  return RULE.test(lines[at]) ? { type: "rule", next: at + 1 } : null;
}

/** A formula in lines of its own, up to its end or a blank line. */
function readMath(lines, at) {
  const begin = lines[at].trim();
  const end = begin.startsWith("$$") ? "$$" : begin.startsWith("\\[") ? "\\]" : null;
  if (end === null || begin.slice(2).includes(end)) return null;
  let next = at + 1;
  while (next < lines.length && !isBlank(lines[next]) && !lines[next].trimEnd().endsWith(end)) next++;
  if (next < lines.length && !isBlank(lines[next])) next++;
  return { type: "math", text: lines.slice(at, next).join("\n"), next };
}

function readParagraph(lines, at, depth) {
  let next = at + 1;
  while (next < lines.length && !isBlank(lines[next]) && !interrupts(lines, next, depth)) next++;
  const text = lines
    .slice(at, next)
    .map((line) => line.replace(/^[ \t]+/, ""))
    .join("\n")
    .trimEnd();
  return { type: "paragraph", text, next };
}

/** Whether this line ends the paragraph before it. */
function interrupts(lines, at, depth) {
  const line = lines[at];
  if (fenceOf(line) || HEADING.test(line) || RULE.test(line) || tableAt(lines, at)) return true;
  if (depth >= DEEPEST) return false;
  const marker = markerOf(line);
  const begins = marker && !marker.empty && (marker.start === null || marker.start === 1);
  return QUOTE.test(line) || Boolean(begins);
}

// -- blocks of blocks

function readQuote(lines, at, depth) {
  if (depth >= DEEPEST || !QUOTE.test(lines[at])) return null;
  let next = at;
  while (next < lines.length && QUOTE.test(lines[next])) next++;
  const inner = lines.slice(at, next).map((line) => line.replace(/^ {0,3}> ?/, ""));
  return { type: "quote", blocks: parseLines(inner, depth + 1), next };
}

function readList(lines, at, depth) {
  const first = depth < DEEPEST && markerOf(lines[at]);
  if (!first) return null;
  const items = [];
  let [begin, next, loose] = [at, at, false];
  for (let marker = first; marker?.kind === first.kind; marker = markerAt(lines, begin)) {
    loose ||= begin > next; // a blank line stands between the items
    next = endOfItem(lines, begin, marker, depth);
    items.push(readItem(lines.slice(begin, next), marker, depth));
    begin = skipBlank(lines, next);
  }
  return { type: "list", kind: first.kind, start: first.start, loose, items, next };
}

function markerAt(lines, at) {
  return at < lines.length && !RULE.test(lines[at]) ? markerOf(lines[at]) : null;
}

function markerOf(line) {
  const text = expandTabs(line);
  const found = MARKER.exec(text);
  if (!found) return null;
  const [head, blanks, mark, number] = found;
  const gap = indentOf(text.slice(head.length));
  return {
    kind: number === undefined ? mark : mark.at(-1),
    start: number === undefined ? null : Number(number),
    indent: blanks.length,
    width: head.length + (gap >= 1 && gap <= 4 ? gap : 1), // where the item's text begins
    empty: isBlank(text.slice(head.length)),
  };
}

/**
 * The line after the item's last. What is indented by two belongs to it, though CommonMark may ask for more:
 * models indent lists below `1.` so. A line right below its text belongs to it too, unless a block begins there.
 */
function endOfItem(lines, begin, marker, depth) {
  let next = begin + 1;
  while (next < lines.length) {
    const line = skipBlank(lines, next);
    if (line >= lines.length) break;
    const inside = indentOf(lines[line]) >= marker.indent + 2;
    const lazy = line === next && !markerOf(lines[line]) && !interrupts(lines, line, depth);
    if (!inside && !lazy) break;
    next = line + 1;
  }
  return next;
}

function readItem(lines, marker, depth) {
  const [head, ...rest] = lines;
  const indents = rest
    .filter((line) => !isBlank(line))
    .map(indentOf)
    .filter((indent) => indent >= marker.indent + 2);
  const columns = indents.reduce((least, indent) => Math.min(least, indent), marker.width);
  const inner = [expandTabs(head).slice(marker.width), ...rest.map((line) => unindent(line, columns))];
  const task = /^\[([ xX])\](?=\s)/.exec(inner[0]);
  if (task) inner[0] = inner[0].slice(task[0].length);
  const done = task && task[1] !== " ";
  return { type: "item", source: lines.join("\n"), task: done, blocks: parseLines(inner, depth + 1) };
}

// -- tables

function readTable(lines, at) {
  const sides = tableAt(lines, at);
  if (!sides) return null;
  let next = at + 2;
  while (next < lines.length && !isBlank(lines[next]) && lines[next].includes("|")) next++;
  const rows = lines.slice(at + 2, next).map((line) => {
    return { type: "row", source: line, cells: cellsOf(line).slice(0, sides.length), sides };
  });
  return { type: "table", sides, head: cellsOf(lines[at]), rows, next };
}

/** The sides to which the columns are set, if a table's head stands here. */
function tableAt(lines, at) {
  const below = lines[at + 1];
  if (!below?.includes("-") || !lines[at].includes("|") || !below.includes("|")) return null;
  const rulers = cellsOf(below);
  const fits = rulers.length <= MOST_COLUMNS && rulers.every((cell) => /^:?-+:?$/.test(cell));
  return fits && cellsOf(lines[at]).length === rulers.length ? rulers.map(sideOf) : null;
}

function sideOf(ruler) {
  const [left, right] = [ruler.startsWith(":"), ruler.endsWith(":")];
  return left && right ? "center" : right ? "right" : left ? "left" : null;
}

/** What stands between the bars of a line. */
function cellsOf(line) {
  const cells = line
    .trim()
    .replaceAll("\\|", "\ue000")
    .split("|")
    .map((cell) => cell.replaceAll("\ue000", "|").trim());
  if (cells[0] === "") cells.shift();
  if (cells.at(-1) === "") cells.pop();
  return cells;
}

// -- lines

function isBlank(line) {
  return line.trim() === "";
}

function skipBlank(lines, at) {
  while (at < lines.length && isBlank(lines[at])) at++;
  return at;
}

/** Tabs before the text as blanks, up to each fourth column. */
function expandTabs(line) {
  if (!line.includes("\t")) return line;
  let [width, at] = [0, 0];
  for (; line[at] === " " || line[at] === "\t"; at++) width += line[at] === " " ? 1 : 4 - (width % 4);
  return " ".repeat(width) + line.slice(at);
}

/** Columns before the text. An ideographic blank is text: Japanese paragraphs begin with one. */
function indentOf(line) {
  return /^ */.exec(expandTabs(line))[0].length;
}

function unindent(line, columns) {
  return columns === 0 ? line : expandTabs(line).slice(Math.min(columns, indentOf(line)));
}
