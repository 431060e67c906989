/**
 * Shows a call of the calculator where the model made it: what it asked and what came back, in one line;
 * pressed, each in full. Knows nothing of how calls are made.
 */

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { say } from "./language.js";
import { legible } from "./legible.js";

const LONGEST = 60; // characters of a line, unless it is opened

export class ToolCall {
  #asked = h("span", { class: "call-text" });
  #full = h("span", { class: "call-full", hidden: true });
  #button = h("button", { class: "call-line", "aria-expanded": "false", onclick: () => this.#toggle() });

  constructor() {
    this.element = h("span", { class: "call" }, this.#button, this.#full);
    this.#button.append(icon("calculator"), this.#asked);
  }

  /** @param {{asked: string, answered: string | null}} call */
  show({ asked, answered }) {
    const [question, answer] = [legible(asked).trim(), answered === null ? null : legible(answered).trim()];
    const failed = answer?.startsWith("error") ?? false;
    this.element.classList.toggle("failed", failed);
    this.#asked.replaceChildren(...line(question, answer, failed));
    this.#full.replaceChildren(...row("call_asked", question), ...row("call_answered", answer ?? "…"));
  }

  #toggle() {
    this.#full.hidden = !this.#full.hidden;
    this.#button.setAttribute("aria-expanded", String(!this.#full.hidden));
  }
}

function line(question, answer, failed) {
  const said = say(answer === null ? "calculating" : failed ? "calculated_in_vain" : "calculated");
  const text = answer === null || failed ? short(question) : `${short(question)} = ${short(answer)}`;
  return [h("span", { class: "call-said" }, `${said} `), h("bdi", { dir: "ltr" }, text)];
}

function row(key, text) {
  return [h("span", { class: "call-label" }, say(key)), h("code", { dir: "ltr" }, text)];
}

function short(text) {
  const letters = Array.from(text);
  return letters.length > LONGEST ? `${letters.slice(0, LONGEST - 1).join("")}…` : text;
}
