/**
 * Asks the server: which model it serves, and for an answer that comes piece by piece.
 * Knows its JSON and its refusals, and nothing of conversations and elements.
 *
 * @typedef {{kind: "text" | "python" | "output", text: string}
 *   | {kind: "seed", seed: number}
 *   | {kind: "usage", tokens: number}
 *   | {kind: "end", reason: string}
 *   | {kind: "figures", tokens: number, seconds: number, rate: number}} Event
 */

import { EventReader } from "./sse.js";

/** The server refuses: a status and a message; `seconds` after which it may not. */
export class Refused extends Error {
  constructor(status, error = {}, seconds = null) {
    super(typeof error?.message === "string" ? error.message : `HTTP ${status}`);
    this.status = status;
    this.code = error?.code ?? null;
    this.seconds = seconds;
  }
}

/** Nobody answers. */
export class Away extends Error {}

/** An answer ended before its end. */
export class Cut extends Error {}

/** What is served: its name, and the facts that the server tells of it. */
export async function fetchModel(token) {
  const response = await ask("/v1/models", { headers: headers(token) });
  const [model] = (await response.json()).data;
  return { name: model.id, dials: {}, format: "chat", ...model.nanogen };
}

/**
 * Events of an answer in their order. Ends after the last; throws Refused, Away or Cut.
 * @param {object} body what the request says
 * @param {{token: string | null, signal: AbortSignal}} how
 * @returns {AsyncGenerator<Event>}
 */
export async function* complete(body, { token, signal }) {
  const response = await ask("/v1/chat/completions", {
    method: "POST",
    headers: { ...headers(token), "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  let done = false; // what follows is read to its end: to leave would look like giving up
  for await (const data of eventsOf(response)) {
    if (data === "[DONE]") done = true;
    else yield* read(data);
  }
  if (!done) throw new Cut("the stream ended early");
}

async function ask(path, request) {
  let response;
  try {
    response = await fetch(path, request);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Away(error.message);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  const body = await response.json().catch(() => null); // a proxy may have answered
  const seconds = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  return new Refused(response.status, body?.error, Number.isFinite(seconds) ? seconds : null);
}

function headers(token) {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function* eventsOf(response) {
  const reader = response.body.getReader();
  const events = new EventReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* events.feed(value);
    }
  } catch (error) {
    throw error.name === "AbortError" ? error : new Cut(error.message);
  } finally {
    reader.cancel().catch(() => {}); // frees the server's row at once
  }
}

function* read(data) {
  const chunk = parse(data);
  if (chunk.error) throw new Refused(chunk.error.status ?? 500, chunk.error);
  const { delta, finish_reason: reason } = chunk.choices?.[0] ?? {};
  if (delta?.content) yield { kind: "text", text: delta.content };
  if (delta?.nanogen) yield { kind: delta.nanogen.kind, text: delta.nanogen.text };
  if (reason) yield { kind: "end", reason };
  yield* figures(chunk);
}

function* figures({ usage, nanogen }) {
  if (Number.isInteger(nanogen?.seed)) yield { kind: "seed", seed: nanogen.seed };
  if (nanogen?.tokens) {
    yield {
      kind: "figures",
      tokens: nanogen.tokens,
      seconds: nanogen.seconds,
      rate: nanogen.tokens_per_second,
    };
  }
  if (usage) yield { kind: "usage", tokens: usage.total_tokens };
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    throw new Cut("an event is not JSON");
  }
}
