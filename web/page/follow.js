/**
 * Keeps the end of what is written in sight while the reader is there, and leaves a reader alone who has gone up.
 * A button leads down again. Knows nothing of what is written.
 */

import { iconButton } from "./buttons.js";
import { say } from "./language.js";

const NEAR = 8; // pixels from the end that count as being there

export class Follow {
  #scroller;
  #following = true;
  #last = 0; // where the reader was

  /** What is in `scroller` is `content`. */
  constructor(scroller, content) {
    this.#scroller = scroller;
    this.button = iconButton("down", say("jump"), () => this.toEnd(), { class: "icon jump", hidden: true });
    scroller.addEventListener("scroll", () => this.#moved(), { passive: true });
    const observer = new ResizeObserver(() => this.#grown());
    observer.observe(content);
    observer.observe(scroller);
  }

  toEnd() {
    this.#following = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#draw();
  }

  #moved() {
    const { scrollTop } = this.#scroller;
    if (scrollTop < this.#last - 1) this.#following = false;
    if (this.#distance() < NEAR) this.#following = true;
    this.#last = scrollTop;
    this.#draw();
  }

  #grown() {
    if (this.#following) this.toEnd();
    else this.#draw();
  }

  #distance() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight;
  }

  #draw() {
    this.button.hidden = this.#following || this.#distance() < NEAR;
  }
}
