/**
 * The list of conversations: new, found, named, deleted and brought back. On a narrow screen it is a drawer.
 * Knows nothing of what is in a conversation.
 */

import { iconButton } from "./buttons.js";
import { matches } from "./conversation.js";
import { conversationEntries } from "./conversation_menu.js";
import { arrange, h } from "./dom.js";
import { isComposing } from "./field.js";
import { icon } from "./icons.js";
import { say } from "./language.js";
import { menuButton } from "./menu.js";

const DAY = 86_400_000; // milliseconds

export class Sidebar {
  #app;
  #rows = new Map(); // elements by conversation id
  #list = h("div", { class: "conversations" });
  #search = h("input", {
    type: "search",
    "aria-label": say("search"),
    placeholder: say("search"),
    autocomplete: "off",
  });
  #scrim = h("div", { class: "scrim", onclick: () => this.close() });
  #renaming = null;
  #opener = null; // what gets the focus when the drawer closes

  constructor(app) {
    this.#app = app;
    const add = h(
      "button",
      { class: "new-chat", onclick: () => app.go(null) },
      icon("add"),
      h("span", {}, say("new_chat")),
    );
    const close = iconButton("close", say("close"), () => this.close(), { class: "icon drawer-only" });
    const search = h("div", { class: "search" }, icon("search"), this.#search);
    const head = h("div", { class: "sidebar-head" }, add, close);
    const settings = { class: "sidebar", "aria-label": say("conversations") };
    this.nav = h("nav", settings, head, search, this.#list, this.#foot());
    this.element = h("div", { class: "sidebar-place" }, this.#scrim, this.nav);
    this.#search.addEventListener("input", () => this.draw());
    this.nav.addEventListener("keydown", (event) => this.#escape(event));
  }

  draw() {
    const words = this.#search.value.trim();
    const all = this.#app.store.list();
    const found = words ? all.filter((conversation) => matches(conversation, words)) : all;
    const nodes = [];
    let group = "";
    for (const conversation of found) {
      const next = groupOf(conversation.changed);
      if (next !== group) nodes.push(this.#headingOf(next));
      group = next;
      nodes.push(this.#rowOf(conversation));
    }
    const none = h("p", { class: "none" }, say(words ? "none_found" : "none_yet"));
    arrange(this.#list, nodes.length > 0 ? nodes : [none]);
  }

  rename(conversation) {
    this.#search.value = "";
    this.#renaming = conversation.id;
    this.#rows.delete(conversation.id);
    this.draw();
    const field = this.#rows.get(conversation.id).querySelector("input");
    field.focus();
    field.select();
  }

  // -- the drawer

  get isOpen() {
    return this.element.classList.contains("open");
  }

  open(opener) {
    this.#opener = opener;
    this.element.classList.add("open");
    this.#app.setBehind(true);
    this.nav.querySelector("button").focus();
  }

  close() {
    if (!this.isOpen) return;
    this.element.classList.remove("open");
    this.#app.setBehind(false);
    this.#opener?.focus();
  }

  #escape(event) {
    if (event.key !== "Escape" || isComposing(event) || !this.isOpen) return;
    event.stopPropagation();
    this.close();
  }

  // -- rows

  #headingOf(group) {
    const key = `heading ${group}`;
    if (!this.#rows.has(key)) this.#rows.set(key, h("h2", {}, say(group)));
    return this.#rows.get(key);
  }

  #rowOf(conversation) {
    const { id } = conversation;
    if (!this.#rows.has(id)) {
      this.#rows.set(id, id === this.#renaming ? this.#field(conversation) : this.#row(conversation));
    }
    const row = this.#rows.get(id);
    const link = row.querySelector("a");
    if (!link) return row;
    link.textContent = conversation.title || say("untitled");
    if (id === this.#app.shown.id) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    row.classList.toggle("busy", this.#app.chat.isWriting(conversation));
    return row;
  }

  #row({ id }) {
    const link = h("a", { href: `#${id}`, onclick: () => this.close() });
    const menu = menuButton({
      label: say("conversation_menu"),
      entries: () => conversationEntries(this.#app, this.#app.store.get(id)),
    });
    return h("div", { class: "row" }, link, menu);
  }

  #field(conversation) {
    const field = h("input", { type: "text", "aria-label": say("name"), maxlength: "200" });
    field.value = conversation.title;
    const done = (keep) => {
      if (this.#renaming !== conversation.id) return;
      this.#renaming = null;
      this.#rows.delete(conversation.id);
      if (keep && field.value.trim()) this.#app.name(conversation, field.value.trim());
      this.draw();
    };
    field.addEventListener("blur", () => done(true));
    field.addEventListener("keydown", (event) => {
      if (isComposing(event) || (event.key !== "Enter" && event.key !== "Escape")) return;
      event.stopPropagation();
      done(event.key === "Enter");
      this.#rows.get(conversation.id)?.querySelector("a").focus();
    });
    return h("div", { class: "row" }, field);
  }

  #foot() {
    const button = (name, label, act) =>
      h("button", { class: "foot-button", onclick: act }, icon(name), h("span", {}, label));
    const more = menuButton({
      label: say("all_conversations"),
      entries: () => [
        { label: say("import"), act: () => this.#app.importFile() },
        { label: say("export_all"), act: () => this.#app.exportAll() },
        { label: say("delete_all"), act: () => this.#app.removeAll(), danger: true },
      ],
    });
    const help = button("help", say("help"), () => this.#app.openHelp());
    return h("div", { class: "sidebar-foot" }, help, more);
  }
}

function groupOf(time) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  if (time >= midnight) return "today";
  if (time >= midnight - DAY) return "yesterday";
  return time >= midnight - 7 * DAY ? "this_week" : "earlier";
}
