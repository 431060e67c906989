/**
 * What a conversation is: messages, each after another; where several come after the same one, one is chosen.
 * An edited question and an answer given anew are such versions. Knows nothing of servers, storage and elements.
 *
 * @typedef {{type: "text" | "python" | "output", text: string}} Part
 * @typedef {"writing" | "waiting" | "done" | "stopped" | "length" | "full" | "cut" | "failed"} State
 * @typedef {{id: string, parent: string, role: "user" | "assistant", parts: Part[], created: number,
 *   state?: State, plain?: boolean, fault?: {kind: string, text: string, code?: string | null}, until?: number, model?: string,
 *   seed?: number, dials?: Record<string, number>,
 *   figures?: {tokens: number, seconds: number, rate: number}}} Message
 * @typedef {{id: string, title: string, named: boolean, created: number, changed: number,
 *   messages: Message[], chosen: Record<string, string>}} Conversation
 */

export const ROOT = "root"; // what the first message comes after
const LONGEST_TITLE = 60;

/** @returns {Conversation} */
export function newConversation() {
  const now = Date.now();
  return { id: newId(), title: "", named: false, created: now, changed: now, messages: [], chosen: {} };
}

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(9)); // randomUUID is kept from pages that came over plain HTTP
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Adds a message after another and chooses it. */
export function append(conversation, parent, message) {
  const added = { id: newId(), parent, created: Date.now(), ...message };
  conversation.messages.push(added);
  choose(conversation, added);
  conversation.changed = added.created;
  return added;
}

export function choose(conversation, message) {
  conversation.chosen[message.parent] = message.id;
}

/** The chosen messages, from the first on. */
export function path(conversation) {
  const byId = new Map(conversation.messages.map((message) => [message.id, message]));
  const found = [];
  for (let at = ROOT; byId.has(conversation.chosen[at]); at = found.at(-1).id) {
    found.push(byId.get(conversation.chosen[at]));
  }
  return found;
}

/** The chosen messages before this one. */
export function before(conversation, message) {
  const all = path(conversation);
  const place = all.findIndex(({ id }) => id === message.id);
  return place < 0 ? all : all.slice(0, place);
}

/** Messages that come after the same one as this does, in the order in which they were made. */
export function versions(conversation, message) {
  return conversation.messages.filter(({ parent }) => parent === message.parent);
}

export function lastQuestion(conversation) {
  return path(conversation).findLast(({ role }) => role === "user");
}

/** Adds text to the end of a message; neighbours of one kind are one part. */
export function extend(message, type, text) {
  const last = message.parts.at(-1);
  if (last?.type === type) last.text += text;
  else message.parts.push({ type, text });
}

export function textOf(message) {
  return message.parts
    .filter(({ type }) => type === "text")
    .map(({ text }) => text)
    .join("");
}

/**
 * A message in pieces: text, or a call of the calculator with its answer, which is null until it comes.
 * @param {Message} message
 * @returns {({text: string} | {asked: string, answered: string | null})[]}
 */
export function segments({ parts }) {
  const found = [];
  for (const { type, text } of parts) {
    const last = found.at(-1);
    if (type === "text") found.push({ text });
    else if (type === "output" && last?.answered === null) last.answered = text;
    else found.push(type === "python" ? { asked: text, answered: null } : { asked: "", answered: text });
  }
  return found;
}

/** Calls its first question the title of a conversation that nobody has named. */
export function retitle(conversation) {
  const first = path(conversation)[0];
  if (conversation.named || !first) return;
  const line = textOf(first).trim().split("\n")[0];
  const letters = Array.from(line);
  conversation.title =
    letters.length > LONGEST_TITLE
      ? `${letters
          .slice(0, LONGEST_TITLE - 1)
          .join("")
          .trim()}…`
      : line;
}

/** Messages as the server takes them; one with tool calls is a list of parts. */
export function asRequest(messages, system) {
  const begin = system ? [{ role: "system", content: system }] : [];
  return [...begin, ...messages.map((message) => ({ role: message.role, content: contentOf(message) }))];
}

function contentOf(message) {
  return message.parts.every(({ type }) => type === "text") ? textOf(message) : message.parts;
}

/** Whether all these words are in the title or in a message. */
export function matches(conversation, words) {
  const everything = fold([conversation.title, ...conversation.messages.map(textOf)].join("\n"));
  return fold(words)
    .split(/\s+/)
    .every((word) => everything.includes(word));
}

function fold(text) {
  return text.normalize("NFKC").toLowerCase();
}
