// The filters of the log: the service applies them, the address keeps them.

import { h } from "./elements.js";
import { icon } from "./icons.js";

const MARKS = ["counts", "void", "foreign", "claim"];

export function logFilters(page, partitions, onChange) {
  const { query } = page,
    marks = new Set((query.get("marks") ?? MARKS.join(",")).split(","));
  const partition = h(
    "select",
    { id: "l-part", onchange: change },
    h("option", { value: "" }, "all"),
    Array.from({ length: partitions }, (_, i) => h("option", { value: i }, i)),
  );
  const types = h("datalist", { id: "l-types" }),
    offered = new Set();
  const text = (id, name, placeholder) =>
    h("input", {
      id,
      type: "text",
      value: query.get(name) ?? "",
      placeholder,
      spellcheck: "false",
      autocomplete: "off",
      onchange: change,
    });
  const type = text("l-type", "type", "any"),
    correlation = text("l-corr", "correlation", "any");
  type.setAttribute("list", "l-types");
  partition.value = query.get("partition") ?? "";

  const toggle = name =>
    h(
      "button.chip",
      {
        "data-mark": name,
        "aria-pressed": String(marks.has(name)),
        onclick: e => {
          if (marks.has(name) && marks.size > 1) marks.delete(name);
          else marks.add(name);
          e.currentTarget.setAttribute("aria-pressed", String(marks.has(name)));
          change();
        },
      },
      icon(name),
      name,
    );
  const toggles = MARKS.map(toggle);

  function change() {
    // A place of one partition is not one of another.
    page.setQuery({
      from: null,
      partition: partition.value,
      type: type.value.trim(),
      correlation: correlation.value.trim(),
      marks: marks.size === MARKS.length ? null : [...marks].join(","),
    });
    onChange();
  }
  const field = (id, label, control, name = "field") =>
    h(`div.${name}`, null, h("label", { for: id }, label), control);
  const el = h(
    "details.filter-box",
    { open: matchMedia("(min-width: 700px)").matches },
    h("summary", null, "Filters"),
    h(
      "form.filters",
      {
        "aria-label": "Filters",
        onsubmit: e => {
          e.preventDefault();
          change();
        },
      },
      field("l-part", "Partition", partition),
      field("l-type", "Event or aggregate type", [type, types]),
      field("l-corr", "Correlation id", correlation, "field.grow"),
      h(
        "div.field",
        null,
        h("span.label", { id: "l-marks" }, "Marks"),
        h("div.chips", { role: "group", "aria-labelledby": "l-marks" }, toggles),
      ),
    ),
  );

  return {
    el,
    partition: () => (partition.value === "" ? null : +partition.value),
    correlation: () => correlation.value.trim(),
    isOpen: () =>
      marks.size === MARKS.length && !partition.value && !type.value && !correlation.value,
    // As /events has them.
    parameters() {
      const all = {
        partition: partition.value,
        type: type.value.trim(),
        correlation: correlation.value.trim(),
        marks: marks.size < MARKS.length ? [...marks].join(",") : "",
      };
      return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ""));
    },
    // The types that were seen.
    offer(records) {
      for (const name of records.flatMap(r => r.events ?? []).map(e => e.type)) {
        if (offered.has(name)) continue;
        offered.add(name);
        types.append(h("option", { value: name }));
      }
    },
    clear() {
      partition.value = type.value = correlation.value = "";
      for (const name of MARKS) marks.add(name);
      for (const one of toggles) one.setAttribute("aria-pressed", "true");
      change();
    },
  };
}
