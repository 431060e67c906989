/**
 * The window in which settings are changed: each with what it does, its value, and a way back to the usual one.
 */

import { iconButton, wordButton } from "./buttons.js";
import { labelOf } from "./commands.js";
import { openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { grow } from "./field.js";
import { LANGUAGES, language, say } from "./language.js";
import { settingsOf } from "./settings.js";
import { setTheme, theme, THEMES } from "./theme.js";

/** @param {string} [focused] the name of the setting that gets the focus */
export function openSettings(app, focused) {
  const fields = settingsOf(app.connection.model).map((setting) => new Field(app.settings, setting));
  const reset = wordButton("quiet", say("reset_all"), () => fields.forEach((field) => field.reset()));
  const elements = fields.map(({ element }) => element);
  const dialog = openDialog({
    title: say("settings"),
    name: "sheet",
    content: (close) => [
      h("section", {}, h("h3", {}, say("settings_model")), elements, reset),
      h("section", {}, h("h3", {}, say("settings_page")), themeChoice(), languageChoice(app, close)),
    ],
  });
  for (const area of dialog.querySelectorAll("textarea")) grow(area);
  if (focused) dialog.querySelector(`#${idOf({ name: focused })}`)?.focus();
}

/** A setting with its inputs: a number and often a slider, or an area for text. */
class Field {
  #settings;
  #setting;
  #inputs;
  #back;

  constructor(settings, setting) {
    this.#settings = settings;
    this.#setting = setting;
    this.#inputs = setting.kind === "text" ? [area(setting)] : numbers(setting);
    this.#back = iconButton("retry", say("reset", { name: labelOf(setting) }), () => {
      this.reset();
      this.#inputs[0].focus();
    });
    for (const input of this.#inputs) {
      input.addEventListener("input", () => this.#take(input));
      input.addEventListener("blur", () => this.#show());
    }
    this.element = this.#build();
    this.#show();
  }

  reset() {
    this.#settings.set(this.#setting, this.#setting.usual);
    this.#show();
  }

  #build() {
    const [first, second] = this.#inputs;
    const isText = this.#setting.kind === "text";
    const label = h("label", { for: first.id }, labelOf(this.#setting));
    const about = h("p", { class: "about", id: `${first.id}-about` }, aboutOf(this.#setting));
    const head = h("div", { class: "field-head" }, label, this.#back, isText ? null : first);
    return h("div", { class: "field" }, head, isText ? first : second, about);
  }

  /** What is typed is left as it is, be it possible or not; the other input follows. */
  #take(input) {
    const isTaken = this.#settings.set(this.#setting, read(this.#setting, input));
    this.#show(input);
    input.setAttribute("aria-invalid", String(!isTaken));
  }

  #show(typed = null) {
    const value = this.#settings.get(this.#setting) ?? "";
    for (const input of this.#inputs) {
      if (input === typed) continue;
      input.value = value;
      input.removeAttribute("aria-invalid");
    }
    this.#back.classList.toggle("unseen", this.#settings.isUsual(this.#setting));
  }
}

function idOf({ name }) {
  return `setting-${name}`;
}

function aboutOf({ name, dial, least, most, usual }) {
  if (!dial) return say(`about_${name}`);
  return `${say(name === "r" ? "about_r" : "about_dial")} ${say("dial_bounds", { least, most, usual })}`;
}

/** A field for the number, and a slider where there are few enough. */
function numbers(setting) {
  const { least, most, step = 1, slider, usual, kind } = setting;
  const id = idOf(setting);
  const bounds = { min: least, max: most, step, "aria-describedby": `${id}-about` };
  const typed = { type: "number", inputmode: kind === "whole" ? "numeric" : "decimal" };
  const number = h("input", { id, ...typed, ...bounds, placeholder: usual === null ? say("random") : null });
  if (!slider) return [number];
  return [number, h("input", { type: "range", "aria-label": labelOf(setting), tabindex: "-1", ...bounds })];
}

function area(setting) {
  const id = idOf(setting);
  const settings = { id, rows: "3", "aria-describedby": `${id}-about`, placeholder: say("unset") };
  return h("textarea", { ...settings, oninput: ({ currentTarget }) => grow(currentTarget) });
}

function read({ kind, usual }, { value }) {
  if (kind === "text") return value;
  return value.trim() === "" ? usual : Number(value);
}

function themeChoice() {
  const options = THEMES.map((name) => [name, say(`theme_${name}`)]);
  return choice(say("theme"), options, theme(), setTheme);
}

function languageChoice(app, close) {
  return choice(say("language"), Object.entries(LANGUAGES), language(), (name) => {
    close();
    app.speak(name);
  });
}

function choice(label, options, current, choose) {
  const rows = options.map(([value, text]) => h("option", { value, selected: value === current }, text));
  const select = h("select", { onchange: ({ currentTarget }) => choose(currentTarget.value) }, rows);
  return h("label", { class: "choice" }, h("span", {}, label), select);
}
