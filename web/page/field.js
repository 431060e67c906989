/**
 * What all fields that text is typed into share: they grow with it, and know when a word is still being composed.
 */

/** Makes a field as high as its text; style sheets bound it. */
export function grow(field) {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
}

/**
 * Whether a key belongs to an input method, as Enter does that confirms Japanese. Safari ends the composition
 * before it tells of the key, and marks that key with 229.
 */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

/** Whether the screen is touched rather than pointed at: there is no Shift to begin a line with, so Enter does. */
export function isTouched() {
  return matchMedia("(hover: none) and (pointer: coarse)").matches;
}
