/**
 * Has questions answered: sends a conversation to the server and writes what comes into it, piece by piece.
 * One answer at a time in each conversation. Knows nothing of elements.
 */

import { Away, complete, Cut, Refused } from "./api.js";
import { append, asRequest, before, extend, path, retitle, ROOT } from "./conversation.js";

const TRIES = 5; // of a request that finds the server busy
const USUAL_WAIT = 2; // seconds, where the server does not say how long
const LONGEST_WAIT = 60;
const LEAVING = 150; // milliseconds: a page that is left loses its connections first, and this is no fault to keep
const KINDS = new Set(["text", "python", "output"]);

/** Events: `message` when an answer has changed, `end` when it is over; their detail is {conversation, message}. */
export class Chat extends EventTarget {
  #runs = new Map(); // by conversation
  #store;
  #settings;
  #connection;

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./settings.js").Settings} settings
   * @param {import("./connection.js").Connection} connection
   */
  constructor(store, settings, connection) {
    super();
    this.#store = store;
    this.#settings = settings;
    this.#connection = connection;
    store.isHeld = (id) => this.#runs.has(id);
  }

  isWriting(conversation, message = null) {
    const run = this.#runs.get(conversation.id);
    return run !== undefined && (message === null || run.message.id === message.id);
  }

  /** A new question at the end. */
  ask(conversation, text) {
    return this.#question(conversation, path(conversation).at(-1)?.id ?? ROOT, text);
  }

  /** Another version of a question; what came after the old one stays with that. */
  edit(conversation, question, text) {
    return this.#question(conversation, question.parent, text);
  }

  /** Another version of an answer; in place of it, where nothing is written there. */
  again(conversation, answer) {
    if (this.isWriting(conversation)) return;
    if (answer.parts.length === 0) return this.#run(conversation, answer, before(conversation, answer));
    return this.#answer(conversation, answer.parent, before(conversation, answer));
  }

  /** More of an answer that has not come to its end. */
  goOn(conversation, answer) {
    if (!this.isWriting(conversation))
      this.#run(conversation, answer, [...before(conversation, answer), answer]);
  }

  stop(conversation) {
    this.#runs.get(conversation.id)?.control.abort();
  }

  /** Waits no longer for a busy server. */
  hurry(conversation) {
    this.#runs.get(conversation.id)?.hurry();
  }

  #question(conversation, parent, text) {
    if (this.isWriting(conversation)) return;
    const question = append(conversation, parent, { role: "user", parts: [{ type: "text", text }] });
    retitle(conversation);
    return this.#answer(conversation, question.id, path(conversation));
  }

  #answer(conversation, parent, messages) {
    const answer = append(conversation, parent, { role: "assistant", parts: [] });
    return this.#run(conversation, answer, messages);
  }

  async #run(conversation, message, messages) {
    const run = { message, control: new AbortController(), hurry: () => {} };
    this.#runs.set(conversation.id, run);
    const body = this.#body(messages);
    begin(message, this.#connection.model, body);
    this.#store.put(conversation);
    this.#tell("message", conversation, message);
    try {
      await this.#patiently(
        run,
        () => this.#write(conversation, message, body, run.control.signal),
        () => {
          this.#tell("message", conversation, message);
        },
      );
    } catch (error) {
      if (error instanceof Cut || error instanceof Away)
        await new Promise((resolve) => setTimeout(resolve, LEAVING));
      this.#fail(message, error);
    }
    this.#runs.delete(conversation.id);
    if (this.#store.get(conversation.id) === conversation) this.#store.put(conversation);
    this.#tell("end", conversation, message);
  }

  #body(messages) {
    const { model } = this.#connection;
    const body = {
      messages: asRequest(messages, this.#settings.system(model)),
      ...this.#settings.request(model),
    };
    return model.name ? { model: model.name, ...body } : body;
  }

  /** Tries again after the time that a busy server asks for. */
  async #patiently(run, write, tell) {
    for (let tries = 1; ; tries++) {
      try {
        return await write();
      } catch (error) {
        if (!isBusy(error) || tries === TRIES) throw error;
        await this.#wait(run, Math.min(error.seconds ?? USUAL_WAIT, LONGEST_WAIT), tell);
      }
    }
  }

  #wait(run, seconds, tell) {
    const { message, control } = run;
    Object.assign(message, { state: "waiting", until: Date.now() + seconds * 1000 });
    tell();
    return new Promise((resolve, reject) => {
      run.hurry = resolve;
      setTimeout(resolve, seconds * 1000);
      control.signal.addEventListener("abort", () => reject(control.signal.reason));
    }).then(() => {
      message.state = "writing";
      tell();
    });
  }

  async #write(conversation, message, body, signal) {
    const earlier = message.figures; // of a message that is gone on with
    for await (const event of complete(body, { token: this.#connection.token, signal })) {
      take(message, event, { earlier, context: this.#connection.model.context });
      this.#store.touch(conversation);
      this.#tell("message", conversation, message);
    }
    if (message.state === "writing") throw new Cut("no end was told");
  }

  #fail(message, error) {
    if (error.name === "AbortError") {
      message.state = "stopped";
      return;
    }
    message.state = error instanceof Cut ? "cut" : "failed";
    message.fault = faultOf(error);
    if (message.fault.kind === "away" || message.fault.kind === "token") this.#connection.lost(error);
  }

  #tell(type, conversation, message) {
    this.dispatchEvent(new CustomEvent(type, { detail: { conversation, message } }));
  }
}

function begin(message, model, { dials }) {
  delete message.fault;
  const plain = model.format === "plain";
  Object.assign(message, {
    state: "writing",
    model: model.name,
    ...(plain && { plain }),
    ...(dials && { dials }),
  });
}

function take(message, event, { earlier, context }) {
  if (KINDS.has(event.kind)) extend(message, event.kind, event.text);
  else if (event.kind === "seed") message.seed = event.seed;
  else if (event.kind === "end") message.state = event.reason === "length" ? "length" : "done";
  else if (event.kind === "figures") message.figures = together(earlier, event);
  else if (event.kind === "usage" && message.state === "length" && event.tokens >= context)
    message.state = "full";
}

function together(earlier, { tokens, seconds, rate }) {
  if (!earlier) return { tokens, seconds, rate };
  return { tokens: earlier.tokens + tokens, seconds: earlier.seconds + seconds, rate };
}

function isBusy(error) {
  return error instanceof Refused && error.status === 429;
}

function faultOf(error) {
  if (error instanceof Cut) return { kind: "cut", text: error.message };
  if (error instanceof Away) return { kind: "away", text: error.message };
  if (!(error instanceof Refused)) {
    reportError(error); // a mistake of ours
    return { kind: "broken", text: String(error) };
  }
  const kinds = { 401: "token", 429: "busy", 503: "away" };
  return { kind: kinds[error.status] ?? "refused", text: error.message, code: error.code };
}
