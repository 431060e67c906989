/**
 * Opens a window above the page. The browser keeps the focus in it, gives it back, and closes it on Escape.
 * Knows nothing of what is in it.
 */

import { iconButton } from "./buttons.js";
import { newId } from "./conversation.js";
import { h } from "./dom.js";
import { say } from "./language.js";

/**
 * @param {{title: string, name: string, content: (close: () => void) => (Node | null)[], onclose?: () => void}} what
 */
export function openDialog({ title, name, content, onclose = () => {} }) {
  const id = `title-${newId()}`;
  const dialog = h("dialog", { class: `dialog ${name}`, "aria-labelledby": id });
  const close = () => dialog.close();
  const button = iconButton("close", say("close"), close);
  dialog.append(
    h("header", {}, h("h2", { id }, title), button),
    h("div", { class: "dialog-body" }, content(close)),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && close()); // beside it
  dialog.addEventListener("close", () => {
    dialog.remove();
    onclose();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export function isDialogOpen() {
  return document.querySelector("dialog[open], [popover]:popover-open") !== null;
}
