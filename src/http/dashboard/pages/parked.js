// Parked sequences: what stopped, why, and the two ways on.

import { api, Problem } from "../api.js";
import { col, facts, h, swap } from "../elements.js";
import { icon } from "../icons.js";
import { json } from "../json.js";
import { recordAt } from "../records.js";
import { closePanel, openPanel, panelHead } from "../record-panel.js";
import { enterRows, rowKeys } from "../rows.js";
import { confirm, loading, problem, state, toast } from "../states.js";
import {
  aggregateLink,
  aggregateOf,
  ago,
  copyButton,
  enc,
  findLink,
  plural,
  viewHref,
} from "../values.js";

const EVERY_MS = 3_000;

export default async function parked(page) {
  page.title("Parked");
  const only = page.query.get("projection");
  const read = async () =>
    (await page.get("/admin/parked")).items.filter(x => !only || x.projection === only);
  let items = await read(),
    open = page.query.get("open");
  const body = h("tbody"),
    out = h("div.split-main"),
    panel = h("aside.panel", { tabindex: "-1", "aria-label": "Parked aggregate", hidden: true });
  page.root.append(
    h(
      "header.page-head",
      null,
      h(
        "div",
        null,
        h("h1", null, "Parked"),
        h(
          "p.muted",
          null,
          "A fold failed on one aggregate; its views stand still, all others go on.",
          only && [` Of ${only} only; `, h("a", { href: "#/parked" }, "show all"), "."],
        ),
      ),
    ),
    h("div.split", null, out, panel),
  );

  function draw() {
    const head = h(
      "tr",
      null,
      col("Aggregate"),
      col("Projection"),
      col("Error", "p1 wide"),
      col("First at", "p1"),
      col("Held", "r"),
      col("Since", "r p1"),
    );
    swap(body, items.map(row));
    swap(
      out,
      items.length
        ? h("table.rows", null, h("thead", null, head), body)
        : state("empty", "Nothing is parked", "Every fold has taken every event so far."),
    );
  }
  const row = x =>
    h(
      "tr",
      {
        tabindex: "-1",
        "data-id": x.id,
        "aria-selected": String(x.id === open),
        onclick: () => inspect(x),
      },
      h(
        "th",
        { scope: "row" },
        h("span.mono.name", null, x.aggregate),
        h("span.sub", null, x.error),
      ),
      h("td", null, x.projection),
      h("td.p1.wide.clip", null, x.error),
      h("td.mono.p1", null, x.position),
      h("td.r", null, x.state === "discarded" ? "discarded" : x.count),
      h("td.r.p1", null, ago(x.time)),
    );

  function close() {
    const tr = body.querySelector(`[data-id="${open}"]`);
    open = null;
    closePanel(panel);
    page.setQuery({ open });
    tr?.setAttribute("aria-selected", "false");
    tr?.focus();
  }
  async function inspect(x) {
    open = x.id;
    page.setQuery({ open });
    for (const tr of body.children)
      tr.setAttribute("aria-selected", String(tr.dataset.id === open));
    const answer = h("div", { "aria-live": "polite" }),
      content = h("div", null, loading());
    swap(
      panel,
      panelHead(x.aggregate, null, close),
      h("p.reason", null, icon("warn"), h("span.mono.small", null, x.error)),
      actions(x, answer),
      answer,
      facts(factsOf(x), copyButton),
      h("h3", null, "The event it stopped at"),
      content,
    );
    openPanel(panel);
    try {
      swap(content, eventOf(x, await recordAt(page, x.position)));
    } catch (e) {
      if (!(e instanceof Problem)) throw e;
      swap(content, eventOf(x, null), problem(e));
    }
  }
  const actions = (x, answer) =>
    h(
      "div.actions",
      null,
      x.state === "parked" && [
        h("button.btn.primary", { onclick: () => retry(x, answer) }, icon("replay"), "Retry"),
        h("button.btn.danger-quiet", { onclick: () => discard(x, answer) }, "Discard"),
      ],
      !isPolicy(x) &&
        h("a.btn", { href: viewHref(x.projection, aggregateOf(x.aggregate).id) }, "The view"),
    );

  async function retry(x, answer) {
    try {
      const { applied, parked: rest } = await api.post(`/admin/parked/${x.id}/retry`);
      toast(
        rest
          ? `${plural(applied, "record")} done; it stopped again`
          : `${plural(applied, "record")} done; it goes on`,
      );
      await gone();
    } catch (e) {
      if (!(e instanceof Problem)) throw e;
      swap(answer, problem(e));
    }
  }
  async function discard(x, answer) {
    const text = isPolicy(x)
      ? "Nothing follows from the events that are held back. What comes later is reacted to again."
      : `The view of ${x.aggregate} in ${x.projection} is removed, and its later events ` +
        "are passed over, until the next replay.";
    if (
      !(await confirm({
        title: `Discard what is held back of ${x.aggregate}?`,
        text: [text, "The log is not changed."],
        action: "Discard",
      }))
    )
      return;
    try {
      await api.post(`/admin/parked/${x.id}/discard`);
      toast(`Discarded for ${x.projection}; the log keeps the events`);
      await gone();
    } catch (e) {
      if (!(e instanceof Problem)) throw e;
      swap(answer, problem(e));
    }
  }
  async function gone() {
    close();
    items = await read();
    draw();
    out.querySelector("tr[tabindex]")?.focus();
  }
  page.keys(e => {
    if (e.key === "Escape" && open) close();
  });
  rowKeys(body);
  enterRows(page, body);
  draw();
  const wanted = items.find(x => x.id === open);
  if (wanted) await inspect(wanted);
  page.every(EVERY_MS, async () => {
    const now = await read();
    if (JSON.stringify(now) === JSON.stringify(items)) return;
    items = now;
    draw();
  });
}

const isPolicy = x => x.projection.startsWith("policy.");

const factsOf = x => [
  [isPolicy(x) ? "Policy" : "Projection", x.projection.replace(/^policy\./, "")],
  ["State", x.state],
  ["Stopped at", findLink(x.position), x.position],
  ["Held back", plural(x.count, "record")],
  ["Aggregate", aggregateLink(aggregateOf(x.aggregate)), x.aggregate],
  ["Since", ago(x.time)],
];

// The log has all of it; the list, the beginning of what could not be read.
function eventOf(x, record) {
  const event = record?.events?.find(e => e.version === x.event.version);
  if (event) return json(event, "Event");
  return [
    h("p", null, h("strong", null, x.event.type ?? "A record that cannot be read")),
    h("pre.json", { tabindex: "0" }, h("span.line", null, x.event.data)),
  ];
}
