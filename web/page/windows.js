/**
 * The small windows: help with the keys and commands, the token that a server asks for, what is known of the model.
 */

import { commandList, dialLabel } from "./commands.js";
import { openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { KEYS } from "./keys.js";
import { day, number, say } from "./language.js";

export function openHelp(app) {
  const keys = KEYS.map(([keys, about]) => [
    h(
      "span",
      { class: "keys" },
      keys.map((key) => h("kbd", {}, key)),
    ),
    say(about),
  ]);
  const commands = commandList(app).map(([name, about]) => [h("code", {}, `/${name}`), about]);
  openDialog({
    title: say("help"),
    name: "help",
    content: () => [
      h("h3", {}, say("help_keys")),
      table(keys),
      h("h3", {}, say("help_commands")),
      table(commands),
      h("p", { class: "about" }, say("help_privacy")),
    ],
  });
}

/** What is known of the model that answers. */
export function openModel({ connection: { model } }) {
  const rows = [
    ["fact_name", model.name],
    ["fact_format", say(model.format === "plain" ? "format_plain" : "format_chat")],
    ["fact_parameters_name", model.parameters && number(model.parameters)],
    ["fact_step_name", model.step !== undefined && model.step !== null && number(model.step)],
    ["fact_trained_name", model.trained && day(model.trained)],
    ["fact_context_name", model.context && say("tokens", { count: model.context })],
    ...Object.entries(model.dials).map(([name, dial]) => [
      null,
      `${number(dial.least)}–${number(dial.most)}`,
      dialLabel(name),
    ]),
  ];
  const known = rows.filter(([, value]) => value).map(([key, value, label]) => [label ?? say(key), value]);
  openDialog({ title: say("this_model"), name: "model-facts", content: () => [table(known)] });
}

let afterToken = []; // what waits for the token

/** Asks for the token; `then` is called when the server has taken it. */
export function openToken(app, then) {
  if (then) afterToken.push(then);
  if (document.querySelector("dialog.token")) return;
  const field = h("input", {
    type: "password",
    id: "token",
    autocomplete: "off",
    required: true,
    "aria-describedby": "token-about",
  });
  const wrong = h("p", { class: "wrong", role: "alert" });
  const forget = () => (afterToken = []);
  openDialog({
    title: say("token_title"),
    name: "token",
    content: (close) => [tokenForm(app, field, wrong, close)],
    onclose: forget,
  });
  field.focus();
}

function tokenForm(app, field, wrong, close) {
  const send = async (event) => {
    event.preventDefault();
    await app.connection.setToken(field.value.trim());
    if (app.connection.status !== "token") {
      const acts = afterToken;
      close();
      return acts.forEach((act) => act());
    }
    wrong.textContent = say("token_wrong");
    field.select();
  };
  const button = h("button", { class: "primary", type: "submit" }, say("token_send"));
  return h(
    "form",
    { onsubmit: send },
    h("p", { id: "token-about" }, say("token_about")),
    h("label", { for: "token" }, say("token")),
    field,
    wrong,
    button,
  );
}

function table(rows) {
  return h(
    "table",
    {},
    h(
      "tbody",
      {},
      rows.map(([name, about]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, about))),
    ),
  );
}
