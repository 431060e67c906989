/**
 * Turns conversations into files to keep, and such files into conversations. Trusts nothing of a file.
 * Knows nothing of elements but the link that a browser saves a file with.
 */

import { append, choose, newConversation, path, retitle, ROOT, segments } from "./conversation.js";
import { h } from "./dom.js";
import { day, say } from "./language.js";

const FORMAT = "nanogen conversations 1";
const TYPES = new Set(["text", "python", "output"]);
const KEPT = new Set(["done", "stopped", "length", "full", "cut", "failed"]);
const MOST_MESSAGES = 10_000; // of one conversation
const MOST_DIALS = 50;
const LONGEST = 1_000_000; // characters of one part

/** @param {import("./conversation.js").Conversation[]} conversations */
export function toJson(conversations) {
  return JSON.stringify({ format: FORMAT, exported: new Date().toISOString(), conversations }, null, 1);
}

/** The chosen messages, to read. */
export function toMarkdown(conversation) {
  const messages = path(conversation);
  const model = messages.findLast(({ model }) => model)?.model;
  const about = [model, day(conversation.created)].filter(Boolean).join(" · ");
  const turns = messages.map((message) => `## ${nameOf(message)}\n\n${markdownOf(message)}`);
  return `${[`# ${conversation.title || say("untitled")}`, about, ...turns].join("\n\n")}\n`;
}

function nameOf({ role, model }) {
  return role === "user" ? say("you") : model || say("model");
}

function markdownOf(message) {
  const pieces = segments(message).map(
    ({ text, asked, answered }) => text ?? ` \`${asked} = ${answered ?? "…"}\` `,
  );
  return pieces.join("").trim();
}

/** Has the browser save a file. */
export function download(text, name, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function fileName(conversation, ending) {
  const title = conversation.title
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 50);
  return `${title || "nanogen"}.${ending}`;
}

/**
 * The conversations of a file: one of ours, or `{"messages": [{"role", "content"}]}` as other tools write it.
 * All get ids of their own. Throws where the file is neither.
 * @returns {import("./conversation.js").Conversation[]}
 */
export function fromJson(text) {
  const value = JSON.parse(text);
  if (value?.format === FORMAT) return list(value.conversations).map(readConversation);
  return [readMessages(list(value?.messages ?? value))];
}

function readConversation(value) {
  const conversation = newConversation();
  const ids = new Map([[ROOT, ROOT]]);
  for (const message of list(value.messages)) {
    const parent = ids.get(message.parent);
    if (parent === undefined) throw new Error("a message comes after none");
    ids.set(String(message.id), append(conversation, parent, readMessage(message)).id);
  }
  rechoose(conversation, value.chosen ?? {}, ids);
  const times = { created: time(value.created), changed: time(value.changed) };
  Object.assign(conversation, times, {
    title: String(value.title ?? "").slice(0, 200),
    named: value.named === true,
  });
  retitle(conversation);
  return conversation;
}

function rechoose(conversation, chosen, ids) {
  const byId = new Map(conversation.messages.map((message) => [message.id, message]));
  for (const [parent, child] of Object.entries(chosen)) {
    const message = byId.get(ids.get(child));
    if (message && message.parent === ids.get(parent)) choose(conversation, message);
  }
}

function readMessages(messages) {
  const conversation = newConversation();
  let parent = ROOT;
  for (const message of messages) {
    if (message.role !== "system") parent = append(conversation, parent, readMessage(message)).id;
  }
  retitle(conversation);
  return conversation;
}

function readMessage(message) {
  if (message?.role !== "user" && message?.role !== "assistant") throw new Error("a message is of no role");
  const { role, content, model, state, seed, created } = message;
  const parts = list(
    message.parts ?? (typeof content === "string" ? [{ type: "text", text: content }] : content),
  );
  const read = { role, parts: parts.map(readPart), created: time(created) };
  if (role === "user") return read;
  return {
    ...read,
    state: KEPT.has(state) ? state : "done",
    ...(typeof model === "string" ? { model: model.slice(0, 200) } : {}),
    ...(Number.isSafeInteger(seed) ? { seed } : {}),
    ...readFigures(message.figures),
    ...(message.plain === true && { plain: true }),
    dials: readDials(message.dials ?? {}),
  };
}

function readPart({ type, text }) {
  const known = type === "python_output" ? "output" : type;
  if (!TYPES.has(known) || typeof text !== "string" || text.length > LONGEST)
    throw new Error("a part cannot be read");
  return { type: known, text };
}

function readFigures({ tokens, seconds, rate } = {}) {
  return [tokens, seconds, rate].every(Number.isFinite) ? { figures: { tokens, seconds, rate } } : {};
}

function readDials(dials) {
  return Object.fromEntries(
    Object.entries(dials)
      .filter(([, value]) => Number.isFinite(value))
      .slice(0, MOST_DIALS),
  );
}

function list(value) {
  if (!Array.isArray(value) || value.length > MOST_MESSAGES) throw new Error("not a list");
  return value;
}

function time(value) {
  return Number.isFinite(value) ? value : Date.now();
}
