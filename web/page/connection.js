/**
 * Knows which model the server serves, whether it answers, and the token that it asks for.
 * Where nobody answers it asks again, less and less often. Knows nothing of conversations and elements.
 */

import { fetchModel, Refused } from "./api.js";
import { session } from "./storage.js";

const TOKEN = "token"; // under which it is kept, until the tab is closed
const FIRST_WAIT = 2_000; // milliseconds
const LONGEST_WAIT = 30_000;

/**
 * Event `change` when any of it changes.
 * @typedef {"asking" | "ready" | "away" | "token"} Status
 */
export class Connection extends EventTarget {
  /** @type {Status} */
  status = "asking";
  model = { name: "", dials: {}, format: "chat" };
  #wait = FIRST_WAIT;
  #timer = 0;

  get token() {
    return session.recall(TOKEN);
  }

  setToken(token) {
    session.keep(TOKEN, token);
    return this.ask();
  }

  /** Asks the server now. */
  async ask() {
    clearTimeout(this.#timer);
    try {
      this.model = await fetchModel(this.token);
      this.#become("ready");
    } catch (error) {
      this.lost(error);
    }
  }

  /** A request has failed. */
  lost(error) {
    if (error instanceof Refused && error.status === 401) return this.#become("token");
    this.#become("away");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.ask(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }

  #become(status) {
    this.status = status;
    if (status === "ready") this.#wait = FIRST_WAIT;
    this.dispatchEvent(new Event("change"));
  }
}
