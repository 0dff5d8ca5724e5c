// The box "Where is my write?": it says what it takes the text for, and lets a person overrule it.

import { h, muted } from "./elements.js";
import { icon } from "./icons.js";
import { enc, parsePosition } from "./values.js";

const KINDS = [
  ["position", "position"],
  ["aggregate", "aggregate"],
  ["key", "aggregate/key"],
  ["command", "command id"],
  ["correlation", "correlation id"],
];
const TYPE = "[a-z][a-z0-9-]{0,62}";

export function kindOf(text) {
  if (parsePosition(text)) return "position";
  if (new RegExp(`^${TYPE}/[^/]+/[^/]+$`).test(text.trim())) return "key";
  return new RegExp(`^${TYPE}/[^/]+$`).test(text.trim()) ? "aggregate" : "command";
}

export function searchBox({ q = "", as = null, focus = false } = {}) {
  let forced = as;
  const input = h("input", {
    id: "search",
    type: "search",
    name: "q",
    value: q,
    "data-autofocus": focus,
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "off",
    placeholder: "5@1234, account/ann, a command id or a correlation id",
    "aria-describedby": "search-kinds",
    oninput: () => {
      forced = null;
      mark();
    },
  });
  const force = kind => {
    forced = kind;
    mark();
    if (input.value.trim()) form.requestSubmit();
    else input.focus();
  };
  const chips = KINDS.map(([kind, label]) =>
    h("button.chip", { "data-kind": kind, onclick: () => force(kind) }, label),
  );
  const go = e => {
    e.preventDefault();
    const text = input.value.trim();
    if (text) location.hash = `#/find?q=${enc(text)}${forced ? `&as=${forced}` : ""}`;
  };
  const form = h(
    "form.search",
    { role: "search", onsubmit: go },
    h("label", { for: "search" }, "Where is my write?"),
    h(
      "div.search-box",
      null,
      icon("search"),
      input,
      h("kbd", { "aria-hidden": "true" }, "/"),
      h("button.btn.primary", { type: "submit" }, "Find"),
    ),
    h("p.search-kinds", { id: "search-kinds" }, muted("Read as"), chips),
  );
  function mark() {
    const kind = input.value.trim() ? (forced ?? kindOf(input.value)) : null;
    // An id is looked for as a command's first, then as a correlation's.
    const both = kind === "command" && !forced;
    for (const chip of chips) {
      const own = chip.dataset.kind;
      chip.setAttribute("aria-pressed", String(own === kind || (both && own === "correlation")));
    }
  }
  mark();
  return form;
}
