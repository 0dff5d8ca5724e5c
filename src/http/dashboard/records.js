// Records of the log as pages show them: their validity, their facts, how they are found again.

import { h, mono } from "./elements.js";
import { icon } from "./icons.js";
import { dayTime, enc, id, parsePosition } from "./values.js";

// Validity: shape and word say it, colour only repeats it.
export const mark = name =>
  h("span", { class: `mark ${name}` }, icon(name), h("span.word", null, name));

export const traceLink = correlation =>
  h("a.mono", { href: `#/trace/${enc(correlation)}`, title: correlation }, correlation);

// Rows for `facts`: name, what is shown, what is copied.
export function recordFacts(r) {
  const given = (name, value, show = mono) =>
    value !== undefined && value !== null && [name, show(value), String(value)];
  return [
    ["Validity", mark(r.mark)],
    ["Position", mono(r.position), r.position],
    ["Log time", h("span", { title: r.time }, dayTime(r.time))],
    r.term !== undefined && ["Term, chain", `${r.term}, ${r.chain ?? "none (a claim)"}`],
    given("Command", r.command, text => text),
    given("Command id", r.command_id, id),
    given("Correlation id", r.correlation_id, traceLink),
    given("Causation id", r.causation_id, id),
    given("Actor", r.actor),
    given("Traceparent", r.traceparent),
    ...Object.entries(r.metadata ?? {}).map(([name, value]) => given(name, value)),
    given("Key", r.key),
    given("Bytes", r.value_bytes),
    given("Unreadable", r.unreadable, text => text),
    given("Node", r.node),
    given("Address", r.address),
  ];
}

// The record at a place; none if the log does not go so far.
export async function recordAt(page, position) {
  const { partition, offset } = parsePosition(position);
  const {
    items: [r],
  } = await page.get(`/events?partition=${partition}&from=${offset}&limit=1`);
  return r?.position === `${partition}@${offset}` ? r : null;
}
