// A panel beside a table: the full record of the row that is open.

import { facts, h, swap } from "./elements.js";
import { icon } from "./icons.js";
import { json } from "./json.js";
import { mark, recordFacts } from "./records.js";
import { aggregateHref, copyButton, enc } from "./values.js";

export function recordPanel(onClose) {
  const el = h("aside.panel", { "aria-label": "Record", tabindex: "-1", hidden: true });
  function show(r) {
    swap(
      el,
      panelHead(r.position, mark(r.mark), onClose),
      r.reason && h("p.reason", null, r.reason, ". It is counted and shown, and changes nothing."),
      h(
        "div.actions",
        null,
        r.aggregate && h("a.btn", { href: aggregateHref(r.aggregate) }, "Aggregate"),
        h("a.btn", { href: `#/find?q=${r.position}` }, "Who has read it"),
        r.correlation_id &&
          h("a.btn", { href: `#/trace/${enc(r.correlation_id)}` }, "Causation tree"),
      ),
      facts(recordFacts(r).slice(1), copyButton),
      h("h3", null, "Full record"),
      json(r, "The full record"),
    );
    openPanel(el);
  }
  return { el, show };
}

export const panelHead = (title, beside, onClose) =>
  h(
    "div.panel-head",
    null,
    h("h2.mono", null, title),
    beside,
    h("span.grow"),
    h(
      "button.btn.icon-only.quiet",
      { "aria-label": "Close", title: "Close  Esc", onclick: onClose },
      icon("close"),
    ),
  );

// On a narrow screen it covers the page, so it gets the focus.
export function openPanel(el) {
  el.hidden = false;
  el.parentElement.classList.add("open");
  if (matchMedia("(max-width: 1099px)").matches) el.focus();
}

export function closePanel(el) {
  el.hidden = true;
  el.parentElement.classList.remove("open");
}
