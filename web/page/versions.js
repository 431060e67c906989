/**
 * Buttons that lead from one version of a message to the others: "2/3" between two arrows.
 */

import { iconButton } from "./buttons.js";
import { choose, versions } from "./conversation.js";
import { h } from "./dom.js";
import { say } from "./language.js";

/** Nothing where there is one version alone. */
export function versionButtons(app, conversation, message) {
  const all = versions(conversation, message);
  if (all.length < 2) return null;
  const place = all.findIndex(({ id }) => id === message.id);
  const count = h("span", { class: "version-count" }, `${place + 1}/${all.length}`);
  const settings = {
    class: "versions",
    role: "group",
    "aria-label": say("version", { place: place + 1, all: all.length }),
  };
  return h("span", settings, arrow("back", all[place - 1]), count, arrow("next", all[place + 1]));

  function arrow(direction, other) {
    const label = say(direction === "back" ? "version_back" : "version_next");
    const settings = { disabled: !other, "data-direction": direction };
    return iconButton(direction, label, () => go(direction, other), settings);
  }

  function go(direction, other) {
    choose(conversation, other);
    app.store.put(conversation);
    app.draw();
    const buttons = document.querySelectorAll(`#message-${other.id} .versions button:enabled`);
    [...buttons].sort((one) => (one.dataset.direction === direction ? -1 : 1))[0]?.focus();
  }
}
