/**
 * Shows what the reader asked, as it was typed, with buttons to copy and to edit it; edited, it is sent anew.
 * Knows nothing of how answers are made.
 */

import { iconButton, wordButton } from "./buttons.js";
import { copy } from "./clipboard.js";
import { textOf, versions } from "./conversation.js";
import { h, hidden } from "./dom.js";
import { grow, isComposing } from "./field.js";
import { say } from "./language.js";
import { versionButtons } from "./versions.js";

export class Question {
  #app;
  #conversation;
  #message;
  #text;
  #foot = h("div", { class: "foot" });
  #body = h("div", { class: "bubble" });
  #drawnVersions = 0;

  constructor(app, conversation, message) {
    this.#app = app;
    this.#conversation = conversation;
    this.#message = message;
    this.#text = textOf(message);
    const settings = { class: "question", id: `message-${message.id}` };
    this.element = h("article", settings, hidden(say("you"), "h2"), this.#body, this.#foot);
    if (app.store.draft(this.#draft)) this.edit();
    else this.#show();
  }

  /** Nothing of it changes but how many versions there are. */
  draw() {
    const count = versions(this.#conversation, this.#message).length;
    if (count === this.#drawnVersions || this.element.classList.contains("editing")) return;
    this.#drawnVersions = count;
    this.#drawFoot();
  }

  edit() {
    const field = h("textarea", { "aria-label": say("edit_question"), rows: "1" });
    field.value = this.#app.store.draft(this.#draft) || this.#text;
    field.addEventListener("input", () => {
      grow(field);
      this.#app.store.setDraft(this.#draft, field.value);
    });
    field.addEventListener("keydown", (event) => this.#key(event, field));
    const send = wordButton("primary", say("send"), () => this.#send(field));
    const cancel = wordButton("quiet", say("cancel"), () => this.#cancel());
    this.element.classList.add("editing");
    this.#body.replaceChildren(field);
    this.#foot.replaceChildren(h("span", { class: "hint" }, say("edit_hint")), cancel, send);
    requestAnimationFrame(() => grow(field));
    field.focus();
  }

  /** Under which what is typed is kept: it outlives a reload. */
  get #draft() {
    return `edit:${this.#message.id}`;
  }

  #show() {
    this.element.classList.remove("editing");
    this.#body.replaceChildren(h("p", { dir: "auto" }, this.#text));
    this.#drawFoot();
  }

  #drawFoot() {
    const edit = iconButton("edit", say("edit"), () => this.edit());
    const copying = iconButton("copy", say("copy"), () => copy(this.#text, copying));
    const pages = versionButtons(this.#app, this.#conversation, this.#message);
    this.#foot.replaceChildren(...(pages ? [pages] : []), edit, copying);
  }

  #key(event, field) {
    if (isComposing(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#send(field);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.#cancel();
    }
  }

  #send(field) {
    if (field.value.trim() === "" || this.#app.chat.isWriting(this.#conversation)) return;
    this.#app.store.setDraft(this.#draft, "");
    this.#show();
    this.#app.chat.edit(this.#conversation, this.#message, field.value);
    this.#app.sent();
  }

  #cancel() {
    this.#app.store.setDraft(this.#draft, "");
    this.#show();
    this.#app.focusComposer();
  }
}
