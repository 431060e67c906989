/**
 * The bar above a conversation: which model answers, and what is set and done with a button.
 */

import { iconButton, wordButton } from "./buttons.js";
import { conversationEntries } from "./conversation_menu.js";
import { h } from "./dom.js";
import { say } from "./language.js";
import { menuButton } from "./menu.js";
import { otherTheme, setTheme } from "./theme.js";

export class Topbar {
  #app;
  #title = h("h1", { class: "title" });
  #model = h("button", { class: "model", "aria-haspopup": "dialog" });
  #menu;
  #banner = h("div", { class: "banner", role: "status", hidden: true });

  constructor(app) {
    this.#app = app;
    const drawer = iconButton("list", say("conversations"), () => app.sidebar.open(drawer));
    drawer.classList.add("drawer-only");
    const add = iconButton("add", say("new_chat"), () => app.go(null));
    add.classList.add("drawer-only");
    this.#menu = menuButton({
      label: say("conversation_menu"),
      entries: () => conversationEntries(app, app.shown),
    });
    this.#model.addEventListener("click", () => app.openModel());
    const names = h("div", { class: "names" }, this.#title, this.#model);
    const theme = iconButton("theme", say("switch_theme"), () => setTheme(otherTheme()));
    const settings = iconButton("dials", say("settings"), () => app.openSettings());
    const bar = h("div", { class: "bar" }, drawer, names, add, this.#menu, theme, settings);
    this.element = h("header", { class: "topbar" }, bar, this.#banner);
  }

  draw() {
    const { connection, shown, store } = this.#app;
    const isKept = store.get(shown.id) !== undefined;
    const title = isKept ? shown.title || say("untitled") : say("new_chat");
    this.#title.textContent = title;
    const { name, step } = connection.model;
    document.title = [isKept && title, name || "nanogen"].filter(Boolean).join(" · ");
    this.#menu.hidden = !isKept;
    const at = step === undefined || step === null ? "" : ` · ${say("fact_step", { step })}`;
    this.#model.textContent = name ? `${name}${at}` : "";
    this.#model.hidden = !name;
    this.#drawBanner(connection.status);
  }

  #drawBanner(status) {
    const isWell = status === "ready" || status === "asking";
    if (this.#banner.hidden === isWell && this.#banner.dataset.status === status) return;
    this.#banner.dataset.status = status;
    this.#banner.hidden = isWell;
    if (isWell) return this.#banner.replaceChildren();
    const { connection } = this.#app;
    const act = status === "token" ? () => this.#app.openToken() : () => connection.ask();
    const button = wordButton("text", say(status === "token" ? "enter_token" : "now"), act);
    this.#banner.replaceChildren(h("span", {}, say(`status_${status}`)), button);
  }
}
