/**
 * Keeps conversations and what is typed but not sent, so that both outlive a reload, also one midway in an answer.
 * Tells of every change with an event. Knows nothing of servers and elements.
 */

import { storage } from "./storage.js";

const CONVERSATION = "conversation:";
const DRAFT = "draft:";
const SOON = 400; // milliseconds

/** Events: `change` when the list or a conversation is another; `full` when the browser keeps no more. */
export class Store extends EventTarget {
  #conversations = new Map();
  #due = new Map(); // what is to be saved soon: texts by name, made when they are saved
  #timer = 0;

  /** Whether a conversation is being written in this tab: then what another tab makes of it does not count. */
  isHeld = (_id) => false;

  constructor() {
    super();
    for (const name of storage.names(CONVERSATION)) this.#load(name);
    storage.onForeignChange((name) => {
      if (name.startsWith(CONVERSATION)) this.#foreign(name);
    });
    window.addEventListener("pagehide", () => this.flush());
    document.addEventListener("visibilitychange", () => this.flush());
  }

  /** The newest first. */
  list() {
    return [...this.#conversations.values()].sort((one, other) => other.changed - one.changed);
  }

  /** @returns {import("./conversation.js").Conversation | undefined} */
  get(id) {
    return this.#conversations.get(id);
  }

  /** Adds or changes a conversation. */
  put(conversation) {
    this.#conversations.set(conversation.id, conversation);
    this.#soon(CONVERSATION + conversation.id, () => JSON.stringify(conversation));
    this.flush();
    this.#tell();
  }

  /** Saves what was changed of a conversation that is kept, in a moment. */
  touch(conversation) {
    if (this.#conversations.get(conversation.id) !== conversation) return;
    this.#soon(CONVERSATION + conversation.id, () => JSON.stringify(conversation));
  }

  remove(id) {
    this.#conversations.delete(id);
    this.#due.delete(CONVERSATION + id);
    storage.drop(CONVERSATION + id);
    this.#tell();
  }

  draft(key) {
    const due = this.#due.get(DRAFT + key);
    return due ? due() : (storage.recall(DRAFT + key) ?? "");
  }

  setDraft(key, text) {
    this.#soon(DRAFT + key, () => text);
  }

  /** Saves at once what was to be saved soon. */
  flush() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    for (const [name, text] of this.#due) this.#save(name, text());
    this.#due.clear();
  }

  #soon(name, text) {
    this.#due.set(name, text);
    this.#timer ||= setTimeout(() => this.flush(), SOON);
  }

  #save(name, text) {
    if (text === "") storage.drop(name);
    else if (!storage.keep(name, text)) this.dispatchEvent(new Event("full"));
  }

  #load(name) {
    const conversation = parse(storage.recall(name));
    if (conversation) this.#conversations.set(conversation.id, conversation);
  }

  /** Another tab has changed a conversation. */
  #foreign(name) {
    const id = name.slice(CONVERSATION.length);
    if (this.#due.has(name) || this.isHeld(id)) return;
    this.#conversations.delete(id);
    this.#load(name);
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

function parse(text) {
  try {
    const value = JSON.parse(text);
    return Array.isArray(value?.messages) && typeof value.id === "string" ? value : null;
  } catch {
    return null; // not ours, or damaged: it is left alone
  }
}
