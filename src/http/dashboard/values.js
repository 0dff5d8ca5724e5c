// How numbers, times, ids and places are shown, and where they lead.

import { h } from "./elements.js";
import { icon } from "./icons.js";
import { toast } from "./states.js";

const grouped = new Intl.NumberFormat("en-US");

export const num = n => grouped.format(n);
export const plural = (n, one, many = `${one}s`) => `${num(n)} ${n === 1 ? one : many}`;
export const isNumber = value => typeof value === "number" || typeof value === "bigint";

// ---- times

const DAY_MS = 864e5;

export function clockTime(iso) {
  const time = new Date(iso);
  return `${time.toTimeString().slice(0, 8)}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}
export function dayTime(iso) {
  const time = new Date(iso),
    day = time.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return `${day}, ${time.toTimeString().slice(0, 8)}`;
}
export const shortTime = iso =>
  Date.now() - new Date(iso) < DAY_MS ? clockTime(iso).slice(0, 8) : dayTime(iso).split(",")[0];
export const isTime = value =>
  typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(value);

export function span(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
export const took = (from, to) => {
  const seconds = (new Date(to) - new Date(from)) / 1000;
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : span(seconds);
};

export const since = iso => `${span(Math.max(0, (Date.now() - new Date(iso)) / 1000))} ago`;
// The shell keeps it true while the page is open.
export const ago = iso => h("time", { datetime: iso, title: iso, "data-ago": iso }, since(iso));

// ---- ids and places

export const enc = encodeURIComponent;
export const parsePosition = text => {
  const found = /^\s*(\d{1,5})@(\d{1,19})\s*$/.exec(text);
  return found && { partition: +found[1], offset: +found[2] };
};
export function shortId(id) {
  const uuid = /([0-9a-f]{8})-[0-9a-f-]{21}([0-9a-f]{6})(?=$|:)/g;
  return id.replace(uuid, "$1…$2");
}
export const id = value => h("span.mono", { title: value }, shortId(value));

export const findLink = (q, text = q) =>
  h("a.mono", { href: `#/find?q=${enc(q)}`, title: text === q ? null : q }, text);
export const aggregateHref = ({ type, id }, version) =>
  `#/aggregates/${enc(type)}/${enc(id)}${version ? `?version=${version}` : ""}`;
export const aggregateLink = (of, version) =>
  h("a.mono.name", { href: aggregateHref(of, version) }, `${of.type}/${of.id}`);
export const viewHref = (projection, key) => `#/projections/${enc(projection)}/${enc(key)}`;

// `account/ann` in two.
export const aggregateOf = text => ({
  type: text.slice(0, text.indexOf("/")),
  id: text.slice(text.indexOf("/") + 1),
});

export function copyButton(text, what) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      toast(`Copied ${what}`);
    } catch {
      toast("The browser did not allow copying");
    }
  };
  return h(
    "button.btn.icon-only.quiet",
    { "aria-label": `Copy ${what}`, title: `Copy ${what}`, onclick: copy },
    icon("copy"),
  );
}
