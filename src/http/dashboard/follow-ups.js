// "What followed": the commands that a record's command or events have caused.

import { h, muted, swap } from "./elements.js";
import { icon } from "./icons.js";
import { aggregateLink, enc, findLink, plural } from "./values.js";

// Events of a record whose consequences are asked for.
const EVENTS_MAX = 20;

export async function followUps(page, el, record) {
  if (el.dataset.done) return;
  const causes = [record.command_id, ...record.events.slice(0, EVENTS_MAX).map(e => e.id)];
  const lists = await Promise.all(causes.map(id => page.get(`/events?causation=${enc(id)}`)));
  const found = lists.flatMap(list => list.items),
    more = lists.reduce((n, list) => n + (list.more ?? 0), 0);
  if (!found.length)
    return swap(
      el,
      h("p.muted.note", null, "Nothing so far: no policy has issued a command because of it."),
    );
  el.dataset.done = "1";
  const rows = found.map(r => {
    const [kind, name] = r.command_id.split(":"),
      isPolicy = kind === "policy" || kind === "process";
    return h(
      "tr",
      null,
      h("th", { scope: "row" }, isPolicy ? [name, muted(` ${kind}`)] : (r.actor ?? "a client")),
      h("td", null, aggregateLink(r.aggregate)),
      h(
        "td.p1",
        null,
        r.refused
          ? h("span.warn", null, icon("warn"), `refused: ${r.refused.code}`)
          : r.events.map(e => e.type).join(", "),
      ),
      h("td.r", null, findLink(r.position)),
    );
  });
  swap(
    el,
    h("table", null, h("tbody", null, rows)),
    more > 0 && h("p.muted.small", null, `${plural(more, "record")} more`),
  );
}
