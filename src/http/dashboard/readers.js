// "Who has read it": how far each projection and policy is past a write, while they go on.

import { h, muted, swap } from "./elements.js";
import { track } from "./graphics.js";
import { icon } from "./icons.js";
import { num, viewHref } from "./values.js";

const HEAD = ["Reader", "Has it", "Checkpoint", "Distance", "Result"];

export function readersTable({ partition, offset }, aggregate) {
  const body = h("tbody"),
    drawn = new Map();
  const el = h(
    "table.reads",
    null,
    h(
      "thead.sr",
      null,
      h(
        "tr",
        null,
        HEAD.map(t => h("th", { scope: "col" }, t)),
      ),
    ),
    body,
  );

  function set(status) {
    const places = [
      ...status.projections.map(x => ({
        name: x.name,
        view: isOf(x, aggregate),
        partitions: x.partitions,
      })),
      ...status.policies.map(x => ({ name: x.name, isPolicy: true, partitions: x.partitions })),
    ];
    for (const place of places) {
      const next = place.partitions[partition]?.next ?? 0;
      if (drawn.get(place.name) === next) continue;
      drawn.set(place.name, next);
      const tr = row(place, next - offset - 1),
        old = [...body.children].find(tr => tr.dataset.reader === place.name);
      if (old) old.replaceWith(tr);
      else body.append(tr);
    }
  }
  function row({ name, isPolicy, view }, past) {
    const has = past >= 0;
    return h(
      "tr",
      { "data-reader": name },
      h("th", { scope: "row" }, name, isPolicy && muted(" policy")),
      h(
        "td",
        null,
        h(
          "span",
          { class: `has ${has ? "yes" : "no"}` },
          icon(has ? "check" : "clock"),
          has ? "has it" : "not yet",
        ),
      ),
      h("td.p1", null, track(has ? Math.max(past, 0.6) : past + 0.4)),
      h(
        "td.r",
        null,
        has
          ? past
            ? `${num(past)} past it`
            : "just past it"
          : h("span.warn", null, `${num(-past)} to go`),
      ),
      h("td.r.p2", null, view && h("a", { href: viewHref(name, aggregate.id) }, "the view")),
    );
  }
  return { el, set };
}

const isOf = (projection, aggregate) => projection.keyed_by.aggregate === aggregate.type;
