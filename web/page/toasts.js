/**
 * Shows a short message at the edge of the page, for a while, with something that can be done about it.
 */

import { iconButton, wordButton } from "./buttons.js";
import { h } from "./dom.js";
import { say } from "./language.js";

const SHOWN = 9_000; // milliseconds

export const toasts = h("div", { class: "toasts", role: "status" });

/**
 * @param {string} text
 * @param {{label: string, act: () => void, focus?: boolean}} [action]
 */
export function toast(text, action) {
  const close = () => element.remove();
  const act = () => {
    close();
    action.act();
  };
  const button = action && wordButton("text", action.label, act);
  const element = h(
    "div",
    { class: "toast" },
    h("span", {}, text),
    button,
    iconButton("close", say("close"), close),
  );
  toasts.replaceChildren(element);
  if (action?.focus) button.focus();
  expire(element, close);
}

/** Stays while somebody is about to press its button. */
function expire(element, close) {
  setTimeout(function look() {
    if (element.matches(":hover, :focus-within")) setTimeout(look, 1_000);
    else close();
  }, SHOWN);
}
