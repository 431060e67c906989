/**
 * Reads server-sent events out of bytes, wherever the network cut them: within a line, a line end, a character.
 * Knows nothing of what the events say.
 */

const LINE_END = /\r\n|\n|\r(?!$)/g; // a \r that ends the text may be the first half of \r\n

export class EventReader {
  #decoder = new TextDecoder();
  #rest = ""; // a line that has not ended
  #data = []; // lines of an event that has not ended

  /**
   * The data of the events that these bytes complete.
   * @param {Uint8Array} bytes
   * @returns {string[]}
   */
  feed(bytes) {
    return this.#read(this.#decoder.decode(bytes, { stream: true }));
  }

  #read(text) {
    LINE_END.lastIndex = Math.max(0, this.#rest.length - 1); // what is before was looked through already
    this.#rest += text;
    const events = [];
    let start = 0;
    for (let end = LINE_END.exec(this.#rest); end; end = LINE_END.exec(this.#rest)) {
      this.#line(this.#rest.slice(start, end.index), events);
      start = LINE_END.lastIndex;
    }
    this.#rest = this.#rest.slice(start);
    return events;
  }

  #line(line, events) {
    if (line === "") {
      if (this.#data.length > 0) events.push(this.#data.join("\n"));
      this.#data = [];
    } else if (line === "data" || line.startsWith("data:")) {
      this.#data.push(line.slice(5).replace(/^ /, ""));
    } // comments, and fields that nobody sends here, are let pass
  }
}
