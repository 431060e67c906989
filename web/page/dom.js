/**
 * Makes elements. Text becomes text nodes and nothing else, so whatever a model writes stays text.
 * Knows nothing of what is shown.
 *
 * @typedef {Node | string | number | null | undefined | false} Child
 */

const REFUSED = new Set(["style", "srcdoc", "innerHTML", "outerHTML"]);

/**
 * An element with attributes and children. A function is a listener (`onclick`), `true` an attribute without
 * a value; what is null, undefined or false is left out.
 * @param {string} tag
 * @param {Record<string, unknown>} [settings]
 * @param {...(Child | Child[])} children
 */
export function h(tag, settings = {}, ...children) {
  const element = document.createElement(tag);
  element.append(...children.flat().filter(isPresent)); // first: with dir=auto each would have the browser read all
  for (const [name, value] of Object.entries(settings)) set(element, name, value);
  return element;
}

/** Puts exactly these children into a parent; those that stand right are not touched, and keep their focus. */
export function arrange(parent, children) {
  const wanted = children.flat().filter(isPresent);
  const kept = new Set(wanted);
  for (const child of [...parent.childNodes]) if (!kept.has(child)) child.remove();
  wanted.forEach((child, place) => {
    if (parent.childNodes[place] !== child) parent.insertBefore(child, parent.childNodes[place] ?? null);
  });
}

/** Text for screen readers alone. */
export function hidden(text, tag = "span") {
  return h(tag, { class: "hidden" }, text);
}

function set(element, name, value) {
  if (!isPresent(value)) return;
  if (typeof value === "function") {
    element.addEventListener(name.slice(2), value);
  } else if (REFUSED.has(name) || name.startsWith("on")) {
    throw new Error(`${name} is not set through h`);
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

function isPresent(value) {
  return value !== null && value !== undefined && value !== false;
}
