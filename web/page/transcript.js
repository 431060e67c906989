/**
 * Shows the messages of a conversation, one below the other, and notes of the page among them.
 * Draws at most once a frame, and less often where drawing takes long. Knows nothing of what a message holds.
 */

import { Answer } from "./answer.js";
import { path } from "./conversation.js";
import { arrange, h } from "./dom.js";
import { Follow } from "./follow.js";
import { say } from "./language.js";
import { Question } from "./question.js";
import { welcome } from "./welcome.js";

const REST = 4; // times as long as drawing takes is left to everything else

export class Transcript {
  #app;
  #conversation = null;
  #views = new Map(); // of messages, by id
  #notes = []; // the page's own, each with the message that it stands after
  #column = h("div", { class: "column" });
  #due = false;
  #notBefore = 0;

  constructor(app) {
    this.#app = app;
    this.element = h(
      "main",
      { class: "transcript", id: "transcript", tabindex: "-1", "aria-label": say("conversation") },
      this.#column,
    );
    this.follow = new Follow(this.element, this.#column);
  }

  /** Shows another conversation. */
  show(conversation) {
    if (conversation !== this.#conversation) {
      this.#conversation = conversation;
      this.#views.clear();
      this.#notes = [];
      this.draw();
      this.follow.toEnd();
    } else {
      this.draw();
    }
  }

  draw() {
    const messages = path(this.#conversation);
    const views = messages.map((message) => this.#viewOf(message));
    for (const view of views) view.draw();
    const begin = views.length > 0 ? [] : [welcome(this.#app)];
    const rows = messages.flatMap(({ id }, place) => [views[place].element, ...this.#notesAfter(id)]);
    arrange(this.#column, [...begin, ...this.#notesAfter(null), ...rows]);
  }

  /** An answer has changed: it is drawn soon. */
  drawSoon(message) {
    if (this.#due) return;
    this.#due = true;
    const wait = this.#notBefore - performance.now();
    if (wait > 0) setTimeout(() => requestAnimationFrame(() => this.#drawAnswer(message)), wait);
    else requestAnimationFrame(() => this.#drawAnswer(message));
  }

  /** Adds a note that is no part of the conversation. */
  note(text) {
    const after = path(this.#conversation).at(-1)?.id ?? null;
    this.#notes.push({ after, element: h("pre", { class: "note", role: "status" }, text) });
    this.draw();
    this.follow.toEnd();
  }

  #notesAfter(id) {
    return this.#notes.filter(({ after }) => after === id).map(({ element }) => element);
  }

  clearNotes() {
    this.#notes = [];
    this.draw();
  }

  /** The text of a message as it is seen. */
  textOf(message) {
    return this.#views.get(message.id)?.element.querySelector(".prose")?.innerText ?? "";
  }

  edit(message) {
    this.#views.get(message.id)?.edit();
  }

  #drawAnswer(message) {
    this.#due = false;
    const begin = performance.now();
    this.#views.get(message.id)?.draw();
    const end = performance.now();
    this.#notBefore = end + REST * (end - begin);
  }

  #viewOf(message) {
    if (!this.#views.has(message.id)) {
      const View = message.role === "user" ? Question : Answer;
      this.#views.set(message.id, new View(this.#app, this.#conversation, message));
    }
    return this.#views.get(message.id);
  }
}
