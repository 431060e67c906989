/**
 * Keeps texts under names in the browser, or in memory where the browser refuses or is full.
 * Knows nothing of what the texts say.
 */

const PREFIX = "nanogen:";

class Kept {
  #browser;
  #inMemory = new Map();

  /** @param {"localStorage" | "sessionStorage"} kind */
  constructor(kind = "localStorage") {
    this.#browser = openStorage(kind);
  }

  /** Whether it is kept beyond the page; false where only memory holds it. */
  keep(name, text) {
    try {
      this.#browser.setItem(PREFIX + name, text);
      this.#inMemory.delete(name);
      return true;
    } catch {
      this.#inMemory.set(name, text);
      return false;
    }
  }

  recall(name) {
    return this.#inMemory.get(name) ?? this.#browser?.getItem(PREFIX + name) ?? null;
  }

  drop(name) {
    this.#inMemory.delete(name);
    this.#browser?.removeItem(PREFIX + name);
  }

  /** Names that begin so, as they are used here. */
  names(begin) {
    const kept = this.#browser ? Object.keys(this.#browser) : [];
    const all = new Set([
      ...kept.filter((n) => n.startsWith(PREFIX)).map(withoutPrefix),
      ...this.#inMemory.keys(),
    ]);
    return [...all].filter((name) => name.startsWith(begin));
  }

  /** Calls with the name of what another tab has changed. */
  onForeignChange(listener) {
    window.addEventListener("storage", ({ key, storageArea }) => {
      if (storageArea === this.#browser && key?.startsWith(PREFIX)) listener(withoutPrefix(key));
    });
  }
}

function withoutPrefix(key) {
  return key.slice(PREFIX.length);
}

function openStorage(kind) {
  try {
    return window[kind]; // throws where cookies are blocked
  } catch {
    return null;
  }
}

export const storage = new Kept();
export const session = new Kept("sessionStorage");
