/**
 * Commands that are typed where questions are: /temperature 0.7, /clear. What they do is told in a note.
 * Every setting of the model is one; knows nothing of how they are typed.
 */

import { number, say } from "./language.js";
import { settingsOf } from "./settings.js";

const NAMES = { top_k: "topk", top_p: "topp", max_tokens: "tokens" };

/** What can be typed, for a list: each command with what it does. */
export function commandList(app) {
  const settings = settingsOf(app.connection.model).map((setting) => [nameOf(setting), labelOf(setting)]);
  return [...settings, ["clear", say("command_clear")], ["help", say("command_help")]];
}

/** Whether a text is a command rather than a question: a slash and a word, and nothing like a path. */
export function isCommand(text) {
  return /^\/[a-z_]*(?:\s|$)/i.test(text);
}

export function runCommand(app, text) {
  const [, name, value] = /^\/(\S*)\s*([\s\S]*)$/.exec(text.trim());
  if (name === "clear" || name === "new") return app.go(null);
  const setting = settingsOf(app.connection.model).find((setting) => nameOf(setting) === name.toLowerCase());
  if (setting) return app.note(change(app.settings, setting, value.trim()));
  const known = commandList(app)
    .map(([command, about]) => `/${command.padEnd(12)} ${about}`)
    .join("\n");
  app.note(name === "help" || name === "" ? known : `${say("command_unknown", { name })}\n${known}`);
}

/** Sets a setting, or tells where it stands. */
function change(settings, setting, text) {
  const name = labelOf(setting);
  if (text === "") return say("setting_is", { name, value: shown(settings.get(setting)) });
  const value = setting.kind === "text" ? text : text === "off" ? setting.usual : Number(text);
  if (settings.set(setting, value)) return say("setting_set", { name, value: shown(settings.get(setting)) });
  return say("setting_bounds", { name, least: setting.least, most: setting.most });
}

export function labelOf({ name, dial }) {
  return dial ? dialLabel(name) : say(`setting_${name}`);
}

export function dialLabel(name) {
  return name === "r" ? say("dial_r") : say("dial_label", { name });
}

function nameOf({ name }) {
  return NAMES[name] ?? name.toLowerCase();
}

function shown(value) {
  if (value === null || value === "") return say("unset");
  return typeof value === "number" ? number(value, { maximumFractionDigits: 3 }) : value;
}
