// A record as a row of the log.

import { h, muted, zero } from "./elements.js";
import { inline } from "./json.js";
import { mark } from "./records.js";
import { clockTime } from "./values.js";

export function logRow(r, onclick) {
  const of = r.aggregate ? `${r.aggregate.type}/${r.aggregate.id}` : r.key;
  return h(
    "tr",
    { tabindex: "-1", class: `m-${r.mark}`, "data-position": r.position, onclick },
    h("td", null, mark(r.mark)),
    h("td.mono", null, r.position),
    h("td.p1.muted", { title: r.time }, clockTime(r.time)),
    h(
      "td",
      null,
      of ? h("span.mono.name", null, of) : zero("none"),
      h("span.sub", null, r.mark !== "counts" && `${r.mark}: `, whatOf(r)),
    ),
    h("td.r.p1", null, r.events?.length ? r.version : zero("–")),
    h("td.p1.wide.clip", null, whatOf(r)),
    h("td.p2.muted.clip", null, r.command ?? ""),
    h("td.r.p3.muted", null, r.term ?? ""),
    h("td.r.p3.muted", null, r.chain ?? ""),
  );
}

function whatOf(r) {
  if (r.refused) return [muted("refused: "), r.refused.code];
  if (r.events?.length)
    return r.events.map(e => [
      h("span.ev", null, e.type),
      " ",
      h("span.data", null, inline(e.data)),
      " ",
    ]);
  if (r.mark === "claim") return `term ${r.term} for ${r.node}`;
  return muted(r.reason ?? r.unreadable ?? "no event");
}
