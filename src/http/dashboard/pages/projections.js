// All projections, with what each can be asked.

import { col, h, heading, zero } from "../elements.js";
import { projectionTable } from "../tables.js";
import { enc } from "../values.js";

const EVERY_MS = 2_000;

export default async function projections(page) {
  page.title("Projections");
  const { items } = await page.get("/projections"),
    table = projectionTable(items);
  const keyOf = ({ keyed_by: by }) =>
    by.aggregate
      ? `id of ${by.aggregate}`
      : by === "merged"
        ? "any key, merged from all partitions"
        : "Retell's own, for looking back";
  const asked = x =>
    x.indexes.length
      ? x.indexes.map(fields => `[${fields.join(", ")}]`).join("  ")
      : zero("none, read by key");
  const rows = items.map(x =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, h("a", { href: `#/projections/${enc(x.name)}` }, x.name)),
      h("td.wrap", null, keyOf(x)),
      h("td.mono.small.wrap", null, asked(x)),
    ),
  );
  page.root.append(
    h(
      "header.page-head",
      null,
      h(
        "div",
        null,
        h("h1", null, "Projections"),
        h("p.muted", null, "Each is a fold of the log, rebuilt at any time by a replay."),
      ),
    ),
    h("section", { "aria-label": "Projections" }, table.el),
    h(
      "section",
      { "aria-labelledby": "h-idx" },
      heading("h-idx", "What can be asked"),
      h(
        "table",
        null,
        h("thead", null, h("tr", null, col("Name"), col("Keyed by"), col("Indexes"))),
        h("tbody", null, rows),
      ),
    ),
  );
  page.every(EVERY_MS, async () => table.set((await page.get("/projections")).items));
}
