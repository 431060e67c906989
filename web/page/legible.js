/**
 * Makes what a model wrote safe to look at: no control characters, and none that reorder the text around them.
 * Tool calls stand in the text as one character each, of a plane of Unicode that belongs to nobody.
 */

const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufffc]/g;
const LINE_ENDS = /\r\n?|[\u2028\u2029]/g;
const PRIVATE_PLANES = /[\udb80-\udbff]/g; // first halves of characters from U+F0000 on
const FIRST_CALL = 0xf0000;
const MOST_CALLS = 0xfffe;

/** The text, with U+FFFD for what must not be shown as it is. */
export function legible(text) {
  return text.replace(LINE_ENDS, "\n").replace(UNSEEN, "\ufffd").replace(PRIVATE_PLANES, "\ufffd");
}

/** The character that stands for a tool call; no legible text holds one. */
export function callCharacter(number) {
  return String.fromCodePoint(FIRST_CALL + Math.min(number, MOST_CALLS));
}

/** The number of the call that a character stands for, or null. */
export function callNumber(character) {
  const number = (character.codePointAt(0) ?? 0) - FIRST_CALL;
  return number >= 0 && number <= MOST_CALLS ? number : null;
}

/** Cuts text so that every tool call is a piece of its own. */
export function cutAtCalls(text) {
  return text.split(/([\u{f0000}-\u{ffffd}])/u).filter((piece) => piece !== "");
}
