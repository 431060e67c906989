/**
 * Draws the page's icons: lines on a grid of 24, in the colour of the text beside them.
 * Knows nothing of what a button does.
 */

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  add: "M12 5v14M5 12h14",
  back: "M15 5l-7 7 7 7",
  calculator: "M6 3.5h12v17H6zM9 7.5h6M9.5 12h.01M14.5 12h.01M9.5 16h.01M14.5 16h.01",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h11v11H9zM5.5 15H4V4h11v1.5",
  dials: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.5v5M9 14.5v5",
  down: "M12 5v14M6 13l6 6 6-6",
  edit: "M4 20h4L19.5 8.5l-4-4L4 16zM13 7l4 4",
  help: "M9 9.2a3 3 0 1 1 4.3 2.7c-.9.45-1.3 1-1.3 2.1M12 17.5h.01",
  list: "M4 6.5h16M4 12h16M4 17.5h10",
  more: "M5.5 12h.01M12 12h.01M18.5 12h.01",
  next: "M9 5l7 7-7 7",
  retry: "M19 12a7 7 0 1 1-2.2-5.1M19.5 3.5v4.5H15",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5L20 20",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7.5 7.5h9v9h-9z",
  theme: "M12 3.5a8.5 8.5 0 1 0 0 17zM12 3.5a8.5 8.5 0 0 1 0 17",
};

/** @param {keyof typeof PATHS} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const attributes = {
    viewBox: "0 0 24 24",
    class: `icon icon-${name}`,
    "aria-hidden": "true",
    focusable: "false",
  };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
