/**
 * Tells screen readers what has happened, without moving what they read. Knows nothing of what happens.
 */

import { h } from "./dom.js";

const LONGEST = 4_000; // characters of one announcement

export const announcer = h("div", { class: "hidden", role: "status", "aria-live": "polite" });

export function announce(text) {
  announcer.replaceChildren(h("p", {}, text.slice(0, LONGEST))); // a new element is told even with the same text
}
