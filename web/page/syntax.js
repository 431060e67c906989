/**
 * Colours code a little: comments, texts, numbers and words that a language keeps for itself.
 * Knows a handful of languages, each as one regular expression, and nothing of elements.
 */

const NUMBER = String.raw`\b(?:0[xXbBoO][\da-fA-F_]+|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?)\b`;
const TEXT = String.raw`"(?:\\[\s\S]|[^"\\\n])*"?|'(?:\\[\s\S]|[^'\\\n])*'?`;
const LONG_TEXT = String.raw`"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|${TEXT}`;
const TEMPLATE = String.raw`\`(?:\\[\s\S]|[^\`\\])*(?:\`|$)|${TEXT}`;
const SLASHES = String.raw`\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)`;
const HASH = String.raw`#[^\n]*`;
const DASHES = String.raw`--[^\n]*`;

const PYTHON =
  "and as assert async await break class continue def del elif else except finally for from global if import in is lambda match case nonlocal not or pass raise return try while with yield None True False self";
const SCRIPT =
  "async await break case catch class const continue default delete do else export extends finally for from function if import in instanceof interface let new of return static super switch this throw try type typeof var void while yield null true false undefined";
const C =
  "auto break case catch class const continue default delete do else enum extern final fn for func go if impl import include inline interface let loop match mod mut namespace new nullptr package private protected pub public range return sizeof static struct super switch template this throw trait try type typedef union use using var virtual void volatile where while bool char double float int long short signed unsigned string i32 i64 u8 u32 u64 f32 f64 usize null nil true false";
const SHELL =
  "if then else elif fi for while until do done case esac in function return export local set unset cd echo exit source sudo";
const SQL =
  "select from where group by order having limit offset insert into values update set delete create table drop alter join left right inner outer on as and or not null in like between distinct union all case when then else end count sum avg min max";

const python = language(HASH, LONG_TEXT, PYTHON);
const script = language(SLASHES, TEMPLATE, SCRIPT);
const c = language(SLASHES, TEXT, C);
const shell = language(String.raw`(?<=^|\s)#[^\n]*`, TEXT, SHELL);
const sql = language(DASHES, TEXT, SQL, "i");
const plain = language(HASH, TEXT, "true false null");

const LANGUAGES = {
  python,
  py: python,
  python3: python,
  javascript: script,
  js: script,
  typescript: script,
  ts: script,
  jsx: script,
  tsx: script,
  c,
  cpp: c,
  "c++": c,
  h: c,
  java: c,
  kotlin: c,
  swift: c,
  rust: c,
  rs: c,
  go: c,
  cs: c,
  csharp: c,
  cuda: c,
  bash: shell,
  sh: shell,
  shell,
  zsh: shell,
  console: shell,
  sql,
  json: plain,
  toml: plain,
  yaml: plain,
  yml: plain,
  ini: plain,
};

/**
 * The code in pieces, each with its kind or none; null for a language that is not known.
 * @returns {["comment" | "text" | "number" | "word" | null, string][] | null}
 */
export function colour(code, name) {
  const pattern = Object.hasOwn(LANGUAGES, name.toLowerCase()) && LANGUAGES[name.toLowerCase()];
  if (!pattern) return null;
  const pieces = [];
  let end = 0;
  for (const found of code.matchAll(pattern)) {
    if (found.index > end) pieces.push([null, code.slice(end, found.index)]);
    pieces.push([kindOf(found.groups), found[0]]);
    end = found.index + found[0].length;
  }
  if (end < code.length) pieces.push([null, code.slice(end)]);
  return pieces;
}

function kindOf(groups) {
  return Object.keys(groups).find((kind) => groups[kind] !== undefined);
}

function language(comment, text, words, flags = "") {
  const word = `\\b(?:${words.split(" ").join("|")})\\b`;
  return new RegExp(
    `(?<comment>${comment})|(?<text>${text})|(?<number>${NUMBER})|(?<word>${word})`,
    `g${flags}`,
  );
}
