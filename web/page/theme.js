/**
 * Light, dark, or as the system has it. first.js sets what was chosen before the page is painted.
 */

import { storage } from "./storage.js";

export const THEMES = ["system", "light", "dark"];

const NAME = "theme"; // under which the choice is kept

export function theme() {
  const kept = storage.recall(NAME);
  return THEMES.includes(kept) ? kept : "system";
}

export function setTheme(name) {
  if (name === "system") storage.drop(NAME);
  else storage.keep(NAME, name);
  document.documentElement.dataset.theme = name;
}

/** The other of light and dark than what is seen now. */
export function otherTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  return (theme() === "system" ? system : theme()) === "dark" ? "light" : "dark";
}
