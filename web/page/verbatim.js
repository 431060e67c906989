/**
 * Shows text as it is while it grows, blanks and line ends too: what a base model goes on with is no Markdown.
 */

import { h } from "./dom.js";

export class Verbatim {
  #text = document.createTextNode("");
  element = h("div", { class: "prose" }, h("p", { class: "verbatim", dir: "auto" }, this.#text));

  append(text) {
    this.#text.appendData(text);
  }
}
