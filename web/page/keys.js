/**
 * Keys that work anywhere on the page. Those of a field are where the field is.
 */

import { isDialogOpen } from "./dialog.js";
import { isComposing } from "./field.js";

const CONTROL = navigator.platform.startsWith("Mac") ? "⌘" : "Ctrl";

/** For the help: keys, and the string that says what they do. */
export const KEYS = [
  [["Enter"], "key_send"],
  [["Shift", "Enter"], "key_line"],
  [["Esc"], "key_stop"],
  [["↑"], "key_edit"],
  [["/"], "key_focus"],
  [[CONTROL, "Shift", "O"], "key_new"],
  [[CONTROL, "Shift", ";"], "key_settings"],
  [["?"], "key_help"],
];

export function listenToKeys(app) {
  document.addEventListener("keydown", (event) => {
    if (isComposing(event) || event.defaultPrevented || isDialogOpen()) return;
    const act = actOf(event, app);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function actOf(event, app) {
  const control = event.ctrlKey || event.metaKey;
  if (control && event.shiftKey && event.code === "KeyO") return () => app.go(null);
  if (control && event.shiftKey && event.code === "Semicolon") return () => app.openSettings();
  if (event.key === "Escape" && app.chat.isWriting(app.shown)) return () => app.chat.stop(app.shown);
  if (control || event.altKey || isField(event.target)) return null;
  if (event.key === "/") return () => app.focusComposer();
  if (event.key === "?") return () => app.openHelp();
  return null;
}

function isField(element) {
  return element instanceof HTMLElement && element.matches("input:not([type=range]), textarea, select");
}
