// The causation tree: which command made which events, and what those caused.

import { h, mono, muted } from "../elements.js";
import { icon } from "../icons.js";
import { inline } from "../json.js";
import { mark } from "../records.js";
import { state } from "../states.js";
import { aggregateLink, enc, findLink, id, plural } from "../values.js";

// Deeper than that, what follows is not indented any more.
const INDENTED_MAX = 12;

export default async function trace(page) {
  const [correlation] = page.params;
  page.title(`Trace ${correlation}`);
  const { items, more } = await page.get(`/traces/${enc(correlation)}`);
  if (!items.length)
    return page.root.append(
      state(
        "missing",
        "No such trace",
        `No record of the last days carries the correlation id ${correlation}. A command ` +
          "is traced when it was sent with an X-Correlation-Id or X-Causation-Id.",
        h("a.btn", { href: "#/" }, "Search"),
      ),
    );
  const times = items.map(({ record }) => +new Date(record.time)),
    start = Math.min(...times),
    lasted = Math.max(...times) - start;
  const events = items.reduce((n, { record }) => n + (record.events?.length ?? 0), 0);
  page.root.append(
    h(
      "header.page-head",
      null,
      h(
        "div",
        null,
        h("p.crumb", null, "Causation tree"),
        h("h1.mono", null, correlation),
        h(
          "p.muted",
          null,
          `${plural(items.length, "command")}, ${plural(events, "event")}, ${lasted} ms ` +
            "from the first record to the last",
          more > 0 && `; ${plural(more, "record is", "records are")} not shown`,
        ),
      ),
    ),
    h(
      "ul.tree",
      { "aria-label": "Causation tree" },
      items.filter(item => !item.caused_by).map(item => command(item, items, start)),
    ),
  );
}

function command({ depth, record: r }, items, start) {
  const below = items.filter(item => item.caused_by === r.position);
  const of = event => below.filter(item => item.record.causation_id === event.id);
  const others = below.filter(
    item => !r.events?.some(event => event.id === item.record.causation_id),
  );
  const show = list =>
    list.length > 0 &&
    h(
      "ul",
      { class: depth > INDENTED_MAX ? "flat" : null },
      list.map(item => command(item, items, start)),
    );
  const events = (r.events ?? []).map(event =>
    h(
      "li.event-node",
      null,
      h(
        "div.node",
        null,
        h("span.dot", { "aria-hidden": "true" }),
        h(
          "div.node-main",
          null,
          h(
            "p",
            null,
            event.type,
            muted(` v${event.version}  `),
            h("span.data", null, inline(event.data)),
          ),
        ),
      ),
      show(of(event)),
    ),
  );
  return h(
    "li.command-node",
    null,
    headOf(r, +new Date(r.time) - start),
    events.length > 0 && h("ul", null, events),
    show(others),
  );
}

function headOf(r, after) {
  const [kind, name] = r.command_id?.split(":") ?? [];
  const by = ["policy", "process"].includes(kind)
    ? `issued by ${kind} ${name}`
    : [r.actor ? ["sent by ", mono(r.actor), ", "] : "", "command ", id(r.command_id ?? "?")];
  return h(
    "div.node",
    null,
    icon("send"),
    h(
      "div.node-main",
      null,
      h(
        "p",
        null,
        h("strong", null, r.command ?? "A record"),
        " on ",
        r.aggregate ? aggregateLink(r.aggregate) : "nothing",
        "  ",
        r.refused && h("span.warn", null, icon("warn"), `refused: ${r.refused.code}`),
        r.mark !== "counts" && mark(r.mark),
      ),
      h("p.muted.small", null, by, r.refused && `. ${r.refused.detail}`),
    ),
    h(
      "div.node-time",
      null,
      findLink(r.position),
      h("span.offset", { title: r.time }, after ? `+${after} ms` : "start"),
    ),
  );
}
