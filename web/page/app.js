/**
 * The chat page: puts its pieces together and tells each what has changed.
 * Which conversation is shown stands in the address, behind `#`.
 */

import { announce, announcer } from "./announce.js";
import { Chat } from "./chat.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { lastQuestion, newConversation } from "./conversation.js";
import { h } from "./dom.js";
import { download, fromJson, toJson } from "./files.js";
import { isTouched } from "./field.js";
import { listenToKeys } from "./keys.js";
import { language, say, setLanguage } from "./language.js";
import { Settings } from "./settings.js";
import { openSettings } from "./settings_dialog.js";
import { Sidebar } from "./sidebar.js";
import { Store } from "./store.js";
import { toast, toasts } from "./toasts.js";
import { Topbar } from "./topbar.js";
import { Transcript } from "./transcript.js";
import { openHelp, openModel, openToken } from "./windows.js";

class App {
  store = new Store();
  settings = new Settings();
  connection = new Connection();
  chat = new Chat(this.store, this.settings, this.connection);
  shown = newConversation();
  #fresh = this.shown; // a conversation that nothing was asked in yet
  #main = null;

  start() {
    this.#build();
    this.#listen();
    this.#route();
    this.connection.ask();
    this.focusComposer();
  }

  #build() {
    document.documentElement.lang = language();
    this.sidebar = new Sidebar(this);
    this.topbar = new Topbar(this);
    this.transcript = new Transcript(this);
    this.composer = new Composer(this);
    const skip = h(
      "a",
      {
        class: "skip",
        href: "#composer",
        onclick: (event) => (event.preventDefault(), this.focusComposer()),
      },
      say("skip"),
    );
    const foot = h("div", { class: "dock" }, this.transcript.follow.button, this.composer.element);
    this.#main = h("div", { class: "main" }, this.topbar.element, this.transcript.element, foot);
    document.body.replaceChildren(skip, this.sidebar.element, this.#main, toasts, announcer);
  }

  #listen() {
    listenToKeys(this);
    window.addEventListener("hashchange", () => this.#route());
    this.store.addEventListener("change", () => this.#storeChanged());
    this.store.addEventListener("full", () => toast(say("storage_full")));
    this.connection.addEventListener("change", () => this.#connectionChanged());
    this.chat.addEventListener("message", ({ detail }) => this.#written(detail));
    this.chat.addEventListener("end", ({ detail }) => this.#ended(detail));
  }

  draw() {
    this.sidebar.draw();
    this.topbar.draw();
    this.transcript.show(this.shown);
    this.composer.show(this.shown);
  }

  // -- which conversation

  /** Shows a conversation, or a new one. */
  go(id) {
    const hash = id ? `#${id}` : "";
    if (location.hash !== hash) history.pushState(null, "", hash || location.pathname);
    this.#route();
    this.sidebar.close();
    this.focusComposer();
  }

  #route() {
    const kept = this.store.get(location.hash.slice(1));
    if (!kept && this.#fresh.messages.length > 0) this.#fresh = newConversation();
    this.shown = kept ?? this.#fresh;
    this.draw();
    this.transcript.clearNotes();
  }

  /** Another tab, or this one, has changed what is kept. */
  #storeChanged() {
    const kept = this.store.get(this.shown.id);
    if (kept) this.shown = kept;
    else if (this.shown.messages.length > 0) this.go(null); // it was deleted
    this.draw();
  }

  name(conversation, title) {
    Object.assign(conversation, { title, named: true });
    this.store.put(conversation);
  }

  rename(conversation) {
    if (!this.sidebar.isOpen && matchMedia("(max-width: 800px)").matches) this.sidebar.open(null);
    this.sidebar.rename(conversation);
  }

  remove(conversation) {
    this.chat.stop(conversation);
    this.store.remove(conversation.id);
    const back = () => (this.store.put(conversation), this.go(conversation.id));
    toast(say("deleted"), { label: say("undo"), act: back, focus: true });
  }

  removeAll() {
    const all = this.store.list();
    for (const conversation of all) {
      this.chat.stop(conversation);
      this.store.remove(conversation.id);
    }
    const back = () => all.forEach((conversation) => this.store.put(conversation));
    toast(say("deleted_all", { count: all.length }), { label: say("undo"), act: back, focus: true });
  }

  exportAll() {
    download(toJson(this.store.list()), "nanogen.json", "application/json");
  }

  importFile() {
    const field = h("input", { type: "file", accept: ".json,application/json" });
    field.addEventListener("change", async () => this.#import(await field.files[0].text()));
    field.click();
  }

  #import(text) {
    try {
      const read = fromJson(text);
      for (const conversation of read) this.store.put(conversation);
      toast(say("imported", { count: read.length }));
      if (read.length === 1) this.go(read[0].id);
    } catch {
      toast(say("not_imported"));
    }
  }

  // -- questions and answers

  ask(text) {
    const isNew = !this.store.get(this.shown.id);
    this.chat.ask(this.shown, text);
    if (isNew) history.pushState(null, "", `#${this.shown.id}`);
    this.sent();
  }

  /** Something was sent: the reader wants to see the answer. */
  sent() {
    this.draw();
    this.transcript.follow.toEnd();
    this.focusComposer();
  }

  editLast() {
    const question = lastQuestion(this.shown);
    if (question) this.transcript.edit(question);
  }

  note(text) {
    this.transcript.note(text);
  }

  #written({ conversation, message }) {
    if (conversation === this.shown) this.transcript.drawSoon(message);
  }

  #ended({ conversation, message }) {
    this.draw();
    if (conversation !== this.shown) return;
    const states = { failed: "announce_failed", cut: "cut", stopped: "stopped" };
    announce(
      [this.transcript.textOf(message), message.state in states ? say(states[message.state]) : ""]
        .join("\n")
        .trim(),
    );
    if (message.fault?.kind === "token") this.openToken(() => this.chat.again(conversation, message));
  }

  // -- the server

  #connectionChanged() {
    this.draw();
    if (this.connection.status === "token") this.openToken();
  }

  // -- windows, language, focus

  openSettings(focused) {
    openSettings(this, focused);
  }

  openHelp() {
    openHelp(this);
  }

  openModel() {
    openModel(this);
  }

  openToken(then) {
    openToken(this, then);
  }

  speak(name) {
    setLanguage(name);
    this.#build();
    this.draw();
    this.focusComposer();
  }

  focusComposer() {
    if (!isTouched()) this.composer.focus(); // there, a keyboard would cover half the screen
  }

  /** The drawer is open: what is behind it cannot be reached. */
  setBehind(behind) {
    this.#main.inert = behind;
  }
}

new App().start();
