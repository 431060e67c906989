/**
 * Says things in the reader's language, and numbers and days as that language writes them.
 * Knows nothing of what is said: see strings.js.
 */

import { storage } from "./storage.js";
import { STRINGS } from "./strings.js";

export const LANGUAGES = { en: "English", ja: "日本語" };

const NAME = "language"; // under which the choice is kept

let current = pick(storage.recall(NAME) ?? navigator.language);

export function language() {
  return current;
}

export function setLanguage(name) {
  storage.keep(NAME, name);
  current = pick(name);
  document.documentElement.lang = current;
}

/**
 * A text of strings.js; `{name}` in it stands for a value. Where `count` is 1 a key that ends in `_one` is used.
 * @param {string} key
 * @param {Record<string, unknown>} [values]
 */
export function say(key, values = {}) {
  const table = STRINGS[current];
  const text = (values.count === 1 && table[`${key}_one`]) || table[key];
  if (text === undefined) throw new Error(`no string ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => shown(values[name]));
}

export function number(value, options = {}) {
  return new Intl.NumberFormat(current, options).format(value);
}

export function day(date) {
  return new Intl.DateTimeFormat(current, { dateStyle: "medium" }).format(new Date(date));
}

function shown(value) {
  return typeof value === "number" ? number(value) : String(value);
}

function pick(name) {
  return name?.toLowerCase().startsWith("ja") ? "ja" : "en";
}
