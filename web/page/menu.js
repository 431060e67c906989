/**
 * A button that opens a menu below itself: arrow keys walk in it, Escape and a click elsewhere close it.
 * Knows nothing of what is in it.
 *
 * @typedef {{label: string, act: () => void, danger?: boolean}} Entry
 */

import { iconButton } from "./buttons.js";
import { h } from "./dom.js";

const GAP = 4; // pixels

/** @param {{label: string, entries: () => Entry[]}} what */
export function menuButton({ label, entries }) {
  const settings = { "aria-haspopup": "menu", "aria-expanded": "false" };
  return iconButton("more", label, ({ currentTarget }) => open(currentTarget, entries()), settings);
}

function open(button, entries) {
  const menu = h(
    "div",
    { class: "menu", role: "menu", popover: "auto", onkeydown: walk },
    entries.map((entry) => row(entry, () => menu)),
  );
  button.after(menu);
  button.setAttribute("aria-expanded", "true");
  menu.addEventListener("toggle", ({ newState }) => {
    if (newState === "closed") close(button, menu);
  });
  menu.showPopover();
  place(button, menu);
  menu.firstElementChild?.focus();
}

function close(button, menu) {
  const inside = menu.contains(document.activeElement) || document.activeElement === document.body;
  menu.remove();
  button.setAttribute("aria-expanded", "false");
  if (inside) button.focus();
}

function row({ label, act, danger }, menuOf) {
  const choose = () => {
    menuOf().hidePopover();
    act();
  };
  return h(
    "button",
    { role: "menuitem", tabindex: "-1", class: danger ? "danger" : null, onclick: choose },
    label,
  );
}

function walk(event) {
  const rows = [...event.currentTarget.children];
  const at = rows.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (event.key === "Tab") event.currentTarget.hidePopover();
  if (to === undefined) return;
  event.preventDefault();
  rows.at(to % rows.length).focus();
}

/** Below the button, within the window. */
function place(button, menu) {
  const { right, bottom, top } = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = bottom + GAP + height <= innerHeight;
  menu.style.left = `${Math.max(GAP, Math.min(right - width, innerWidth - width - GAP))}px`;
  menu.style.top = `${below ? bottom + GAP : Math.max(GAP, top - GAP - height)}px`;
}
