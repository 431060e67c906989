/**
 * Buttons: one that is an icon, with its name for those who do not see it, and one that is a word.
 */

import { h } from "./dom.js";
import { icon } from "./icons.js";

/** @param {(event: Event & {currentTarget: HTMLButtonElement}) => void} act */
export function iconButton(name, label, act, settings = {}) {
  const named = { class: "icon", "aria-label": label, title: label, onclick: act, ...settings };
  return h("button", named, icon(name));
}

/** @param {"primary" | "quiet" | "text"} kind */
export function wordButton(kind, label, act) {
  return h("button", { class: kind, onclick: act }, label);
}
