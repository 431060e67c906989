/**
 * Says what became of an answer that did not simply end, in its place, and offers what can be done about it.
 */

import { wordButton } from "./buttons.js";
import { lastQuestion } from "./conversation.js";
import { h } from "./dom.js";
import { say } from "./language.js";

const WRITING = new Set(["writing", "waiting"]);

/** Nothing where the answer is well, or is being written. */
export function noticeOf(app, conversation, message, writing) {
  if (writing) return message.state === "waiting" ? waiting(app, conversation, message) : pending(message);
  const state = WRITING.has(message.state) ? "interrupted" : message.state;
  const describe = NOTICES[state];
  if (!describe) return message.parts.length === 0 ? box(say("empty"), [again]) : null;
  const { text, detail, actions, isFault } = describe(message, app.connection.model);
  return box(text, actions, { isFault, detail });

  function box(text, actions, { isFault = false, detail = null } = {}) {
    const buttons = actions.map((action) => action(app, conversation, message)).filter(Boolean);
    const body = h("div", {}, h("p", {}, text), detail && h("p", { class: "detail" }, detail));
    return h(
      "div",
      { class: isFault ? "notice fault" : "notice", role: isFault ? "alert" : null },
      body,
      h("div", { class: "notice-buttons" }, buttons),
    );
  }
}

const NOTICES = {
  stopped: () => ({ text: say("stopped"), actions: [goOn] }),
  length: ({ figures }) => ({ text: say("length", { count: figures?.tokens ?? 0 }), actions: [goOn, raise] }),
  full: (_, { context }) => ({ text: say("full", { context: context ?? 0 }), actions: [startNew, editLast] }),
  cut: ({ fault }) => ({ text: say("cut"), detail: fault?.text, actions: [goOn, again], isFault: true }),
  interrupted: () => ({ text: say("interrupted"), actions: [goOn, again] }),
  failed: ({ fault }) => ({ ...FAULTS[fault?.kind ?? "broken"](fault), isFault: true }),
};

const FAULTS = {
  away: () => ({ text: say("away"), actions: [again] }),
  busy: ({ text }) => ({ text: say("busy"), detail: text, actions: [again] }),
  token: () => ({ text: say("token_needed"), actions: [enterToken, again] }),
  broken: (fault) => ({ text: say("broken"), detail: fault?.text, actions: [again] }),
  refused: ({ text, code }) => ({
    text: say("refused"),
    detail: text,
    actions: code === "context_length_exceeded" ? [startNew, editLast] : [again],
  }),
};

function pending({ parts }) {
  return parts.length === 0 ? h("div", { class: "pending" }, h("span", {}, say("writing"))) : null;
}

/** Counts down the seconds until a busy server is asked again. */
function waiting(app, conversation, message) {
  const text = h("p");
  const count = () => {
    text.textContent = say("waiting", { count: Math.max(1, Math.ceil((message.until - Date.now()) / 1000)) });
  };
  const timer = setInterval(() => (text.isConnected ? count() : clearInterval(timer)), 250);
  const now = action("now", () => app.chat.hurry(conversation));
  count();
  return h("div", { class: "notice" }, text, h("div", { class: "notice-buttons" }, now));
}

// -- what can be done

function again(app, conversation, message) {
  return action("retry", () => app.chat.again(conversation, message), "primary");
}

function goOn(app, conversation, message) {
  if (message.parts.length === 0) return again(app, conversation, message);
  return action("go_on", () => app.chat.goOn(conversation, message));
}

function raise(app) {
  return action("raise", () => app.openSettings("max_tokens"));
}

function startNew(app) {
  return action("new_chat", () => app.go(null), "primary");
}

function editLast(app, conversation) {
  return lastQuestion(conversation) && action("edit_last", () => app.editLast());
}

function enterToken(app) {
  return action("enter_token", () => app.openToken(), "primary");
}

function action(key, act, kind = "quiet") {
  return wordButton(kind, say(key), act);
}
