// Replays and verifications: start, watch, compare, flip, roll back, cancel.

import { api, Problem } from "../api.js";
import { col, h, heading, swap, zero } from "../elements.js";
import { icon } from "../icons.js";
import { isOver, jobCard, namesOf, resultOf } from "../job-card.js";
import { problem, state, toast } from "../states.js";
import { ago, num, took } from "../values.js";

const EVERY_MS = 3_000,
  PAST_SHOWN = 50;

export default async function replays(page) {
  page.title("Replays");
  const { items } = await page.get("/projections"),
    jobs = new Map(),
    cards = new Map();
  const now = h("div.jobs"),
    past = h("div"),
    answer = h("div", { "aria-live": "polite" });
  const projection = h(
    "select",
    { id: "r-name" },
    h("option", { value: "" }, "all projections"),
    items.map(x => h("option", { value: x.name }, x.name)),
  );
  projection.value =
    page.query.get("projection") ?? items.find(x => x.keyed_by.aggregate)?.name ?? "";
  const rate = h("input", {
      id: "r-rate",
      type: "number",
      min: 1,
      placeholder: "no limit",
      inputmode: "numeric",
    }),
    equal = h("input", { id: "r-equal", type: "checkbox" });

  async function start(kind) {
    const name = projection.value ? { projection: projection.value } : {};
    const body =
      kind === "replay"
        ? {
            ...name,
            records_per_second: rate.value ? +rate.value : null,
            require_equal: equal.checked,
          }
        : name;
    try {
      put({ ...(await api.post(`/admin/${kind}s`, body)), kind }, true);
      swap(answer);
    } catch (e) {
      if (!(e instanceof Problem)) throw e;
      swap(answer, problem(e));
    }
  }
  // One that was begun here has a card, however soon it is over.
  function put(job, isOurs = false) {
    const known = jobs.get(job.id);
    if (known && JSON.stringify(known) === JSON.stringify(job)) return;
    jobs.set(job.id, job);
    if ((isOurs || !isOver(job)) && !cards.has(job.id)) {
      cards.set(job.id, jobCard(job, { answer, put }));
      now.prepend(cards.get(job.id).el);
      if (!isOver(job)) follow(job);
    }
    cards.get(job.id)?.set(job);
    drawPast();
  }
  function follow(job) {
    // A job that has ended is told of once more, and never again.
    const over = new AbortController();
    page.signal.addEventListener("abort", () => over.abort(), { once: true });
    page.follow(`/admin/${job.kind}s/${job.id}`, over.signal, {
      event: (_, status) => {
        const next = { ...status, kind: job.kind };
        put(next);
        if (!isOver(next)) return;
        over.abort();
        toast(`${namesOf(next)}: ${resultOf(next).text}`);
      },
    });
  }
  async function load() {
    const [replayed, verified] = await Promise.all([
      page.get("/admin/replays"),
      page.get("/admin/verifications"),
    ]);
    for (const job of replayed.items.toReversed()) put({ ...job, kind: "replay" });
    for (const job of verified.items.toReversed()) put({ ...job, kind: "verification" });
  }
  function drawPast() {
    const ended = [...jobs.values()]
      .filter(isOver)
      .sort((a, b) => (a.started_at < b.started_at ? 1 : -1))
      .slice(0, PAST_SHOWN);
    const head = h(
      "tr",
      null,
      col("Result"),
      col("Projection"),
      col("What", "p1"),
      col("Records", "r p1"),
      col("Took", "r p2"),
      col("Different", "r p1"),
      col("When", "r"),
    );
    swap(
      past,
      ended.length
        ? h("table", null, h("thead", null, head), h("tbody", null, ended.map(pastRow)))
        : state("empty", "No replay yet", "The first one can be started above."),
    );
  }
  const submit = e => {
    e.preventDefault();
    start("replay");
  };
  page.root.append(
    h(
      "header.page-head",
      null,
      h(
        "div",
        null,
        h("h1", null, "Replays"),
        h(
          "p.muted",
          null,
          "Rebuild a projection from the log while the live one serves. Verify folds " +
            "again and only compares.",
        ),
      ),
    ),
    h(
      "form.filters",
      { "aria-label": "Start", onsubmit: submit },
      h("div.field", null, h("label", { for: "r-name" }, "Projection"), projection),
      h("div.field", null, h("label", { for: "r-rate" }, "Records per second"), rate),
      h("label.check", null, equal, h("span", null, "Flip only if equal")),
      h(
        "div.actions",
        null,
        h("button.btn.primary", { type: "submit" }, "Start replay"),
        h("button.btn", { onclick: () => start("verification") }, "Verify"),
      ),
    ),
    answer,
    now,
    h(
      "section",
      { "aria-labelledby": "h-past" },
      heading("h-past", "Earlier runs of this node"),
      past,
    ),
  );
  await load();
  drawPast();
  page.every(EVERY_MS, load);
}

function pastRow(job) {
  const { icon: name, text, isGood } = resultOf(job),
    { views, differences } = job.compared;
  return h(
    "tr",
    { "data-job": job.id },
    h("td", { class: `has ${isGood ? "yes" : "no"}`, title: job.error }, icon(name), text),
    h("th", { scope: "row" }, namesOf(job)),
    h("td.p1.muted", null, job.kind),
    h("td.r.p1", null, num(job.records)),
    h("td.r.p2", null, job.ended_at ? took(job.started_at, job.ended_at) : ""),
    h("td.r.p1", null, views ? `${num(differences)} of ${num(views)}` : zero("–")),
    h("td.r", null, ago(job.started_at)),
  );
}
