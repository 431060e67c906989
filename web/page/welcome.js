/**
 * What an empty conversation shows: which model this is, what it is good for, and a few ways to begin.
 */

import { h } from "./dom.js";
import { day, number, say } from "./language.js";

const BEGINNINGS = 4;

export function welcome(app) {
  const { model, status } = app.connection;
  const ready = status === "ready";
  const name = h("h2", { class: "welcome-name" }, model.name || "nanogen");
  const isTold = status === "away" || status === "token"; // by the banner
  const facts =
    !isTold && h("p", { class: "welcome-facts" }, ready ? factsOf(model).join(" · ") : say("status_asking"));
  const about = ready && model.format === "plain" && h("p", { class: "welcome-plain" }, say("plain_note"));
  return h("div", { class: "welcome" }, name, facts, about, ready && beginnings(app, model.format));
}

/** Facts in a few words each; those that the server does not tell are left out. */
export function factsOf({ parameters, step, trained, context }) {
  const short = { notation: "compact", maximumSignificantDigits: 3 };
  return [
    parameters && say("fact_parameters", { parameters: number(parameters, short) }),
    step !== undefined && step !== null && say("fact_step", { step }),
    trained && say("fact_trained", { trained: day(trained) }),
    context && say("fact_context", { context }),
  ].filter(Boolean);
}

function beginnings(app, format) {
  const kind = format === "plain" ? "plain" : "chat";
  const keys = Array.from({ length: BEGINNINGS }, (_, place) => `begin_${kind}_${place + 1}`);
  const buttons = keys.map((key) =>
    h("button", { class: "beginning", onclick: () => app.composer.fill(say(key)) }, say(key)),
  );
  return h("div", { class: "beginnings", role: "group", "aria-label": say("beginnings") }, buttons);
}
