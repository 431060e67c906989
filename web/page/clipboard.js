/**
 * Copies text, also on pages that came over plain HTTP, where browsers keep the clipboard from scripts.
 * Tells by the button that asked for it.
 */

import { announce } from "./announce.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { say } from "./language.js";

const SHOWN = 1_600; // milliseconds

/** @param {HTMLButtonElement} button */
export async function copy(text, button) {
  const done = await write(text);
  announce(say(done ? "copied" : "not_copied"));
  const shown = button.querySelector("svg");
  if (!done || !shown) return;
  const check = icon("check");
  shown.replaceWith(check);
  setTimeout(() => check.replaceWith(icon("copy")), SHOWN);
}

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return writeByHand(text);
  }
}

function writeByHand(text) {
  const field = h("textarea", { class: "hidden", readonly: true, "aria-hidden": "true" });
  const focused = document.activeElement;
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return done;
}
