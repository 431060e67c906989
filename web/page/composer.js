/**
 * Where questions are typed. Enter sends, except while a word is being composed, and on screens that are touched;
 * a slash begins a command. What is typed is kept as a draft until it is sent.
 */

import { commandList, isCommand, runCommand } from "./commands.js";
import { lastQuestion } from "./conversation.js";
import { arrange, h } from "./dom.js";
import { grow, isComposing, isTouched } from "./field.js";
import { icon } from "./icons.js";
import { say } from "./language.js";

const NEW = "new"; // the draft of a conversation that is not kept yet

export class Composer {
  #app;
  #key = NEW;
  #field = h("textarea", {
    id: "composer",
    rows: "1",
    "aria-label": say("composer"),
    enterkeyhint: "send",
    autocomplete: "off",
  });
  #button = h("button", { class: "send", type: "button" });
  #hints = h("div", { class: "commands", hidden: true });
  #below = h("p", { class: "composer-note" });

  constructor(app) {
    this.#app = app;
    const box = h("div", { class: "composer-box" }, this.#field, this.#button);
    this.element = h(
      "form",
      { class: "composer", "aria-label": say("composer_form") },
      this.#hints,
      box,
      this.#below,
    );
    this.element.addEventListener("submit", (event) => event.preventDefault());
    this.#field.addEventListener("input", () => this.#typed());
    this.#field.addEventListener("keydown", (event) => this.#pressed(event));
    this.#button.addEventListener("click", () => this.#press());
  }

  /** Shows the draft of a conversation. */
  show(conversation) {
    const key = this.#app.store.get(conversation.id) ? conversation.id : NEW;
    if (key !== this.#key || this.#field.value === "") {
      this.#key = key;
      this.#field.value = this.#app.store.draft(key);
      this.#fit();
    }
    this.draw();
  }

  draw() {
    const writing = this.#app.chat.isWriting(this.#app.shown);
    const plain = this.#app.connection.model.format === "plain";
    const label = say(writing ? "stop" : "send");
    this.#field.placeholder = say(plain ? "placeholder_plain" : "placeholder");
    this.#button.classList.toggle("stopping", writing);
    this.#button.setAttribute("aria-label", label);
    this.#button.title = label;
    if (this.#button.dataset.icon !== label) this.#button.replaceChildren(icon(writing ? "stop" : "send"));
    this.#button.dataset.icon = label;
    this.#button.disabled = !writing && this.#field.value.trim() === "";
    this.#below.textContent = say(plain ? "composer_note_plain" : "composer_note");
    this.#drawHints();
  }

  focus() {
    this.#field.focus();
  }

  /** Puts a text into the field, to be sent or changed. */
  fill(text) {
    this.#field.value = text;
    this.#typed();
    this.focus();
  }

  #typed() {
    this.#app.store.setDraft(this.#key, this.#field.value);
    this.#fit();
    this.draw();
  }

  #fit() {
    requestAnimationFrame(() => grow(this.#field));
  }

  #pressed(event) {
    if (isComposing(event)) return;
    if (
      event.key === "Enter" &&
      !event.shiftKey &&
      !event.altKey &&
      (!isTouched() || event.ctrlKey || event.metaKey)
    ) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "ArrowUp" && this.#field.value === "" && lastQuestion(this.#app.shown)) {
      event.preventDefault();
      this.#app.editLast();
    } else if (event.key === "Tab" && !event.shiftKey && !this.#hints.hidden) {
      event.preventDefault();
      this.fill(`/${this.#fitting()[0][0]} `);
    }
  }

  #press() {
    if (this.#app.chat.isWriting(this.#app.shown)) this.#app.chat.stop(this.#app.shown);
    else this.#send();
  }

  #send() {
    const text = this.#field.value;
    if (text.trim() === "") return;
    if (isCommand(text)) {
      this.#clear();
      runCommand(this.#app, text);
    } else if (!this.#app.chat.isWriting(this.#app.shown)) {
      this.#clear();
      this.#app.ask(text);
    }
  }

  #clear() {
    this.#app.store.setDraft(this.#key, "");
    this.#field.value = "";
    this.#fit();
    this.draw();
  }

  // -- commands

  #fitting() {
    const typed = /^\/([a-z_]*)$/i.exec(this.#field.value);
    return typed ? commandList(this.#app).filter(([name]) => name.startsWith(typed[1].toLowerCase())) : [];
  }

  #drawHints() {
    const rows = this.#fitting().map(([name, about]) => {
      const settings = { type: "button", tabindex: "-1", onclick: () => this.fill(`/${name} `) };
      return h("button", settings, h("code", {}, `/${name}`), h("span", {}, about));
    });
    arrange(this.#hints, rows);
    this.#hints.hidden = rows.length === 0;
  }
}
