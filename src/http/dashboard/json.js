// JSON as it is shown: whole, as the difference of two, and on one line.

import { h } from "./elements.js";
import { isNumber, num } from "./values.js";

export const json = (value, label = "JSON") => pre("json", label, lines("", 0, null, value, ""));
export const diff = (before, after, label) =>
  pre("json diff", label, changes(0, null, before ?? undefined, after, ""));

// Names and values of an event, on one line.
export const inline = data =>
  Object.entries(data ?? {}).map(([key, value], i) => [
    i ? "  " : "",
    h("span.muted", null, `${key} `),
    h("span.val", null, short(value)),
  ]);

// A value in a cell.
export function short(value) {
  if (isNumber(value)) return num(value);
  return isTree(value) ? text(value) : String(value);
}

// Integers beyond 2^53 were read as BigInt, which JSON.stringify refuses.
const text = value => JSON.stringify(value, (_, v) => (typeof v === "bigint" ? String(v) : v));
const isTree = value => value !== null && typeof value === "object";

const pre = (name, label, content) =>
  h("pre", { class: name, tabindex: "0", role: "group", "aria-label": label }, content);
const token = value =>
  h(
    "span",
    { class: typeof value === "string" ? "j-s" : "j-v" },
    typeof value === "bigint" ? String(value) : JSON.stringify(value),
  );
const named = key => (key === null ? [] : [h("span.j-k", null, JSON.stringify(key)), ": "]);

function line(sign, depth, ...body) {
  return h(
    "span",
    { class: `line ${{ "+": "add", "-": "del" }[sign] ?? ""}` },
    h("span.sign", { "aria-hidden": "true" }, sign === "-" ? "−" : sign),
    sign === "+" && h("span.sr", null, "added: "),
    sign === "-" && h("span.sr", null, "removed: "),
    h("span.body", null, "  ".repeat(depth), ...body),
    "\n",
  );
}

function lines(sign, depth, key, value, comma) {
  if (!isTree(value)) return [line(sign, depth, ...named(key), token(value), comma)];
  const isList = Array.isArray(value),
    keys = Object.keys(value),
    [open, shut] = isList ? "[]" : "{}";
  if (!keys.length) return [line(sign, depth, ...named(key), open + shut, comma)];
  const inner = keys.flatMap((k, i) =>
    lines(sign, depth + 1, isList ? null : k, value[k], commaAfter(i, keys)),
  );
  return [line(sign, depth, ...named(key), open), ...inner, line(sign, depth, shut, comma)];
}

function changes(depth, key, before, after, comma) {
  if (text(before) === text(after)) return lines(" ", depth, key, after, comma);
  if (before === undefined) return lines("+", depth, key, after, comma);
  if (after === undefined) return lines("-", depth, key, before, comma);
  if (!isTree(before) || !isTree(after) || Array.isArray(before) !== Array.isArray(after)) {
    return [...lines("-", depth, key, before, comma), ...lines("+", depth, key, after, comma)];
  }
  const isList = Array.isArray(after),
    [open, shut] = isList ? "[]" : "{}";
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const inner = keys.flatMap((k, i) =>
    changes(depth + 1, isList ? null : k, before[k], after[k], commaAfter(i, keys)),
  );
  return [line(" ", depth, ...named(key), open), ...inner, line(" ", depth, shut, comma)];
}

const commaAfter = (i, keys) => (i < keys.length - 1 ? "," : "");
