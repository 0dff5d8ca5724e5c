// The only way to the service: JSON in and out, with the key or token of this tab.

import { follow } from "./stream.js";

// These files stand in `dashboard/`, below http.base_path, wherever that is.
const BASE = new URL("../", import.meta.url);
const KEPT_AS = "retell.token";

// What the service answered that is no success, as its problem document.
export class Problem extends Error {
  constructor(document) {
    super(document.title);
    Object.assign(this, document);
  }
}

const kept = () => {
  try {
    return sessionStorage.getItem(KEPT_AS);
  } catch {
    return null;
  }
};
const keep = token => {
  try {
    if (token) sessionStorage.setItem(KEPT_AS, token);
    else sessionStorage.removeItem(KEPT_AS);
  } catch {
    /* only in memory then */
  }
};

export const session = {
  token: kept(),
  name: null,
  // Null until the service has said it.
  roles: null,
  // Whether the caller has a role: all of it, or for this aggregate type or projection.
  can(role, of) {
    return !this.roles || this.roles.some(one => one === role || (of && one === `${role}:${of}`));
  },
  // Whether it has something of a role.
  canSome(role) {
    return this.can(role) || this.roles.some(one => one.startsWith(`${role}:`));
  },
  signIn(token) {
    this.token = token;
    this.name = this.roles = null;
    keep(token);
  },
  signOut() {
    this.signIn(null);
  },
  // Asks who this is, once for each key.
  async load(signal) {
    if (this.roles) return;
    const me = await send("GET", "/admin/me", { signal });
    this.name = me.name;
    this.roles = me.roles;
  },
};

export const urlOf = path => new URL(path.slice(1), BASE).href;

const credentials = headers =>
  session.token ? { ...headers, Authorization: `Bearer ${session.token}` } : headers;

async function send(method, path, { headers = {}, body, signal } = {}) {
  const type = body === undefined ? {} : { "Content-Type": "application/json" };
  const request = {
    method,
    signal,
    cache: "no-store",
    credentials: "omit",
    headers: credentials({ Accept: "application/json", ...type, ...headers }),
  };
  if (body !== undefined) request.body = typeof body === "string" ? body : JSON.stringify(body);
  const answer = await fetch(urlOf(path), request).catch(unreachable);
  const text = await answer.text().catch(unreachable);
  if (!answer.ok) throw problemOf(answer, text);
  return parse(text);
}

// Nothing came back: it may be starting, or the network may be down.
export function unreachable(error) {
  if (error.name === "AbortError") throw error;
  throw new Problem({
    status: 0,
    code: "unreachable",
    title: "The service does not answer",
    detail: "Nothing came back. It may be starting, or the network may be down.",
    retry_after_s: 5,
  });
}

export function problemOf(answer, text) {
  const document = answer.headers.get("Content-Type")?.includes("json") ? parse(text) : {};
  const seconds = Number.parseInt(answer.headers.get("Retry-After"), 10);
  return new Problem({
    title: answer.statusText,
    code: "no_problem_document",
    ...document,
    status: answer.status,
    retry_after_s: seconds || null,
    position: answer.headers.get("Retell-Position"),
  });
}

// Integers beyond 2^53 stay exact, where the browser lets us see how they were written.
export const parse = text =>
  JSON.parse(text, (_, value, context) =>
    typeof value === "number" &&
    !Number.isSafeInteger(value) &&
    /^-?\d+$/.test(context?.source ?? "")
      ? BigInt(context.source)
      : value,
  );

export const api = {
  get: (path, options) => send("GET", path, options),
  post: (path, body, options) => send("POST", path, { body, ...options }),
  del: (path, options) => send("DELETE", path, options),
  stream: (path, signal, on) =>
    follow(urlOf(path), { signal, on, headers: () => credentials({}), parse, problemOf }),
};
