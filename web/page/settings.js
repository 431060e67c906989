/**
 * How the model is to write: settings, their bounds and what is usual, and what a request says of them.
 * A model may have dials of its own. Knows nothing of how they are shown.
 *
 * @typedef {{name: string, kind: "number" | "whole" | "text", least?: number, most?: number, step?: number,
 *   usual: number | string | null, dial?: boolean, slider?: boolean}} Setting
 */

import { storage } from "./storage.js";

const NAME = "settings"; // under which they are kept
const LARGEST_SEED = 2 ** 53 - 1; // whole numbers that JavaScript tells apart
const MOST_TOKENS = 4096; // that the server writes for an answer
const MOST_STEPS = 256; // of a slider

/**
 * The settings of a model in the order in which they are shown.
 * @returns {Setting[]}
 */
export function settingsOf(model) {
  const usual = model.sampling ?? {};
  const tokens = Math.min(model.context ?? MOST_TOKENS, MOST_TOKENS);
  const all = [
    {
      name: "temperature",
      kind: "number",
      least: 0,
      most: 2,
      step: 0.05,
      usual: usual.temperature ?? 0.8,
      slider: true,
    },
    { name: "top_k", kind: "whole", least: 0, most: 200, usual: usual.top_k ?? 50, slider: true },
    { name: "top_p", kind: "number", least: 0, most: 1, step: 0.01, usual: usual.top_p ?? 1, slider: true },
    {
      name: "max_tokens",
      kind: "whole",
      least: 1,
      most: tokens,
      usual: Math.min(model.tokens ?? 512, tokens),
      slider: true,
    },
    ...Object.entries(model.dials ?? {}).map(dialSetting),
    { name: "seed", kind: "whole", least: 0, most: LARGEST_SEED, usual: null },
  ];
  return model.format === "chat" ? [...all, { name: "system", kind: "text", usual: "" }] : all;
}

function dialSetting([name, { least, most, default: usual }]) {
  return { name, kind: "whole", least, most, usual, dial: true, slider: most - least <= MOST_STEPS };
}

/** Event `change` when one is set. */
export class Settings extends EventTarget {
  #values = read();

  /** The value of a setting, within its bounds. */
  get(setting) {
    const value = this.#values[keyOf(setting)];
    return fits(setting, value) ? value : setting.usual;
  }

  /** Sets it where the value is possible; says whether. */
  set(setting, value) {
    if (value !== setting.usual && !fits(setting, value)) return false;
    if (value === setting.usual) delete this.#values[keyOf(setting)];
    else this.#values[keyOf(setting)] = value;
    this.#changed();
    return true;
  }

  isUsual(setting) {
    return this.get(setting) === setting.usual;
  }

  reset() {
    this.#values = {};
    this.#changed();
  }

  /** What a request to this model says of them; the system prompt stands among its messages instead. */
  request(model) {
    const body = {};
    const dials = {};
    for (const setting of settingsOf(model)) {
      const value = this.get(setting);
      if (setting.name === "system" || value === null) continue;
      (setting.dial ? dials : body)[setting.name] = value;
    }
    return Object.keys(dials).length > 0 ? { ...body, dials } : body;
  }

  system(model) {
    const setting = settingsOf(model).find(({ name }) => name === "system");
    return setting ? this.get(setting).trim() : "";
  }

  #changed() {
    storage.keep(NAME, JSON.stringify(this.#values));
    this.dispatchEvent(new Event("change"));
  }
}

function keyOf({ name, dial }) {
  return dial ? `dial ${name}` : name;
}

function fits({ kind, least, most }, value) {
  if (kind === "text") return typeof value === "string";
  if (typeof value !== "number" || !(value >= least && value <= most)) return false;
  return kind === "number" || Number.isInteger(value);
}

function read() {
  try {
    const values = JSON.parse(storage.recall(NAME));
    return values && typeof values === "object" ? { ...values } : {};
  } catch {
    return {};
  }
}
