/*
 * Sets theme and language before anything is painted, so that a dark page does not flash white.
 * The only script that is not a module: modules run after the first paint.
 */
try {
  const theme = localStorage.getItem("nanogen:theme");
  if (theme) document.documentElement.dataset.theme = theme;
  const language = localStorage.getItem("nanogen:language") || navigator.language;
  document.documentElement.lang = language.startsWith("ja") ? "ja" : "en";
} catch {
  // a browser that keeps nothing shows the page in the system's theme
}
