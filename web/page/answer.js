/**
 * Shows an answer while it is written and after: its Markdown with the tool calls in it, what became of it, what
 * can be done with it, and how fast it came. Knows nothing of how answers are made.
 */

import { iconButton } from "./buttons.js";
import { copy } from "./clipboard.js";
import { segments, textOf } from "./conversation.js";
import { arrange, h } from "./dom.js";
import { number, say } from "./language.js";
import { callCharacter, legible } from "./legible.js";
import { noticeOf } from "./notice.js";
import { Prose } from "./prose.js";
import { ToolCall } from "./tool_call.js";
import { Verbatim } from "./verbatim.js";
import { versionButtons } from "./versions.js";

export class Answer {
  #app;
  #conversation;
  #message;
  #prose;
  #calls = new Map(); // what shows each tool call, by the place of its segment
  #shown = []; // characters that are shown of each segment
  #ended = false; // whether the prose knows that nothing follows
  #notice = h("div", { class: "notice-place" });
  #foot = h("div", { class: "foot" });
  #drawnState = "";

  constructor(app, conversation, message) {
    this.#app = app;
    this.#conversation = conversation;
    this.#message = message;
    const name = h("h2", { class: "hidden" }, message.model || say("model"));
    this.element = h(
      "article",
      { class: "answer", id: `message-${message.id}` },
      name,
      this.#notice,
      this.#foot,
    );
    this.#begin();
    this.draw();
  }

  draw() {
    const writing = this.#app.chat.isWriting(this.#conversation, this.#message);
    this.#drawParts(writing);
    this.element.classList.toggle("writing", writing && this.#message.state === "writing");
    this.element.setAttribute("aria-busy", String(writing));
    const state = this.#stateKey(writing);
    if (state === this.#drawnState) return; // buttons that stay keep their focus
    this.#drawnState = state;
    arrange(this.#notice, [noticeOf(this.#app, this.#conversation, this.#message, writing)]);
    this.#foot.replaceChildren(...(writing ? [] : this.#buttons()));
  }

  /** What notice and buttons are made of. */
  #stateKey(writing) {
    const { state, until, fault, parts } = this.#message;
    const siblings = this.#conversation.messages.filter(
      ({ parent }) => parent === this.#message.parent,
    ).length;
    const empty = parts.length === 0;
    return JSON.stringify([
      writing,
      state,
      until,
      fault,
      siblings,
      empty,
      this.#app.chat.isWriting(this.#conversation),
    ]);
  }

  // -- what it says

  #begin() {
    this.#calls = new Map();
    this.#shown = [];
    this.#ended = false;
    const prose = this.#message.plain
      ? new Verbatim()
      : new Prose((place) => this.#calls.get(place)?.element ?? "");
    if (this.#prose) this.#prose.element.replaceWith(prose.element);
    else this.element.firstChild.after(prose.element);
    this.#prose = prose;
  }

  #drawParts(writing) {
    const all = segments(this.#message);
    if (all.length < this.#shown.length || (this.#ended && writing)) this.#begin(); // it is written anew, or goes on
    const text = all.map((segment, place) => this.#news(segment, place)).join("");
    if (text === "" && writing !== this.#ended) return;
    this.#ended = !writing;
    this.#prose.append(text, { writing });
  }

  /** What is new of a segment, as the prose takes it: a call is one character, and its element shows it. */
  #news(segment, place) {
    const shown = this.#shown[place] ?? 0;
    this.#shown[place] = lengthOf(segment);
    if (segment.text !== undefined)
      return lengthOf(segment) > shown ? legible(segment.text.slice(shown)) : "";
    const isNew = !this.#calls.has(place);
    if (isNew) this.#calls.set(place, new ToolCall());
    if (isNew || lengthOf(segment) !== shown) this.#calls.get(place).show(segment);
    return isNew ? callCharacter(place) : "";
  }

  // -- what can be done with it

  #buttons() {
    const [app, conversation, message] = [this.#app, this.#conversation, this.#message];
    const text = textOf(message);
    const copying = iconButton("copy", say("copy_answer"), () => copy(text, copying));
    const again = iconButton("retry", say("again"), () => app.chat.again(conversation, message));
    again.disabled = app.chat.isWriting(conversation);
    const written = message.parts.length > 0; // else the notice offers it
    const pages = versionButtons(app, conversation, message);
    return [pages, text && copying, written && again, this.#figures()].filter(Boolean);
  }

  #figures() {
    const { figures, dials = {} } = this.#message;
    if (!figures) return null;
    const rate = number(figures.rate, { maximumFractionDigits: figures.rate < 10 ? 1 : 0 });
    const texts = [say("tokens", { count: figures.tokens }), say("rate", { rate })];
    for (const [name, value] of Object.entries(dials)) texts.push(`${name} = ${number(value)}`);
    return h("span", { class: "figures" }, texts.join(" · "));
  }
}

function lengthOf({ text = "", asked = "", answered }) {
  return text.length + asked.length + (answered === null || answered === undefined ? 0 : answered.length + 1);
}
