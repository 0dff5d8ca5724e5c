// The shell: routes, and the page that is open. A page is a module in pages/ whose default export
// gets a `page` (root, params, query, signal, …) and fills `page.root`; `page.signal` aborts when
// it is left.

import { api, session, Problem, unreachable } from "./api.js";
import { drawBar } from "./bar.js";
import { h, swap } from "./elements.js";
import { listenForKeys } from "./keys.js";
import { announce, loading, problem } from "./states.js";
import { since } from "./values.js";

const ROUTES = [
  [/^\/$/, "home"],
  [/^\/find$/, "find"],
  [/^\/log$/, "log"],
  [/^\/send$/, "send"],
  [/^\/replays$/, "replays"],
  [/^\/parked$/, "parked"],
  [/^\/sign-in$/, "sign-in"],
  [/^\/aggregates\/([^/]+)\/([^/]+)$/, "aggregate"],
  [/^\/trace\/([^/]+)$/, "trace"],
  [/^\/projections$/, "projections"],
  [/^\/projections\/([^/]+)$/, "projection"],
  [/^\/projections\/([^/]+)\/([^/]+)$/, "view"],
];
// What is shown for so long without data shows that it loads.
const LOADING_AFTER_MS = 120;

const main = document.getElementById("main");
let leaving = new AbortController(),
  isFirst = true;

export async function show() {
  leaving.abort();
  leaving = new AbortController();
  const page = newPage(leaving.signal);
  try {
    await session.load(page.signal).catch(e => {
      if (page.name !== "sign-in") throw e;
    });
    if (!page.name) throw new Problem({ status: 404, title: "No such page", detail: page.path });
    const { default: fill } = await import(`./pages/${page.name}.js`).catch(unreachable);
    await fill(page);
  } catch (e) {
    if (page.signal.aborted) return;
    await failed(page, e);
  }
  page.ready();
  if (page.signal.aborted) return;
  drawBar(page.path);
  const target = page.root.querySelector("[data-autofocus]") ?? (isFirst ? null : main);
  target?.focus({ preventScroll: true });
  isFirst = false;
}

async function failed(page, e) {
  if (e.status === 401) {
    page.root.replaceChildren();
    return (await import("./pages/sign-in.js")).default(page);
  }
  if (!(e instanceof Problem)) console.error(e);
  // A script that did not come is asked for again with the page only.
  swap(page.root, problem(e, e.code === "unreachable" ? () => location.reload() : show));
}

function newPage(signal) {
  const [path, search = ""] = (location.hash.slice(1) || "/").split("?");
  const [pattern, name] = ROUTES.find(([route]) => route.test(path)) ?? [];
  const root = h("div", { class: `page p-${name ?? "none"}` });
  const wait = setTimeout(() => swap(main, h("div.page", null, loading())), LOADING_AFTER_MS);
  const query = new URLSearchParams(search);
  signal.addEventListener("abort", () => clearTimeout(wait));
  const page = {
    name,
    path,
    root,
    signal,
    query,
    params: pattern ? path.match(pattern).slice(1).map(decodeURIComponent) : [],
    title(text) {
      document.title = `${text} · Retell`;
      if (!isFirst) announce(text);
    },
    // What a link to this page, as it stands, must say.
    setQuery(values) {
      for (const [key, value] of Object.entries(values)) {
        if (value === null || value === "") query.delete(key);
        else query.set(key, value);
      }
      const text = query.toString();
      history.replaceState(null, "", `#${path}${text ? `?${text}` : ""}`);
    },
    ready() {
      clearTimeout(wait);
      if (signal.aborted || root.isConnected) return;
      swap(main, root);
      drawBar(path);
      scrollTo(0, 0);
    },
    get: (url, options) => api.get(url, { signal, ...options }),
    // With a signal of its own, for what is followed anew while the page is open.
    follow: (url, own, on) => {
      api.stream(url, own, on).catch(e => page.signal.aborted || failed(page, e));
    },
    stream: (url, on) => {
      api.stream(url, signal, on).catch(e => page.signal.aborted || failed(page, e));
    },
    every(ms, act) {
      const timer = setInterval(() => {
        if (!document.hidden)
          act().catch(e => {
            if (!(e instanceof Problem) && e.name !== "AbortError") console.error(e);
          });
      }, ms);
      signal.addEventListener("abort", () => clearInterval(timer));
    },
    keys(handler) {
      document.addEventListener(
        "keydown",
        e => {
          if (
            e.metaKey ||
            e.ctrlKey ||
            e.altKey ||
            e.target.matches("input,select,textarea") ||
            document.querySelector("dialog[open]")
          )
            return;
          handler(e);
        },
        { signal },
      );
    },
  };
  return page;
}

const AGO_EVERY_MS = 5_000;
setInterval(() => {
  for (const el of document.querySelectorAll("[data-ago]")) el.textContent = since(el.dataset.ago);
}, AGO_EVERY_MS);
document.querySelector(".skip").addEventListener("click", e => {
  e.preventDefault();
  main.focus();
});
addEventListener("hashchange", show);
listenForKeys();
drawBar("/");
show();
