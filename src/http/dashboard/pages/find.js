// "Where is my write?": landed, counts or void, who has read it, what policies did.

import { Problem, session } from "../api.js";
import { facts, h, heading, muted, swap } from "../elements.js";
import { icon } from "../icons.js";
import { json } from "../json.js";
import { locate } from "../locate.js";
import { readersTable } from "../readers.js";
import { mark, recordFacts } from "../records.js";
import { kindOf, searchBox } from "../search.js";
import { loading, problem, state } from "../states.js";
import {
  aggregateHref,
  aggregateLink,
  ago,
  copyButton,
  dayTime,
  enc,
  findLink,
  id as idOf,
  parsePosition,
  plural,
} from "../values.js";
import { followUps } from "../follow-ups.js";

const EVERY_MS = 1_000,
  LOADING_AFTER_MS = 150;

export default async function find(page) {
  const q = (page.query.get("q") ?? "").trim(),
    as = page.query.get("as");
  page.title(q || "Search");
  const answer = h("div.find-answer");
  page.root.append(
    h("section.hero.compact", { "aria-label": "Search" }, searchBox({ q, as })),
    answer,
  );
  page.ready();
  if (!q) return;
  const look = async () => {
    const slow = setTimeout(() => swap(answer, loading()), LOADING_AFTER_MS);
    try {
      const found = await locate(page, q, as ?? kindOf(q)).finally(() => clearTimeout(slow));
      await show(page, answer, q, found, look);
    } catch (e) {
      if (e.status === 401 || !(e instanceof Problem)) throw e;
      swap(answer, problem(e, look));
    }
  };
  await look();
}

function show(page, answer, q, found, look) {
  if (found.record) return record(page, answer, found);
  if (found.related) return swap(answer, correlation(q, found));
  swap(answer, nothing(q, found, look));
}

// ---- nothing

function nothing(q, found, look) {
  const again = h("button.btn", { onclick: look }, "Look again");
  if (found.nothing === "position")
    return state("missing", `${q} is not in the log yet`, "The partition ends before it.", again);
  if (found.nothing === "aggregate")
    return state(
      "missing",
      `${q} has no event`,
      "Nothing of it counts yet. A command can make its first.",
      h("a.btn", { href: aggregateHref(found.of) }, "Open the aggregate"),
      again,
    );
  const waiting =
    "If the answer was a timeout (504), wait a moment and look again: the outcome may " +
    "still be on its way. Sending the same command with the same Idempotency-Key is safe.";
  if (found.nothing === "key")
    return state(
      "missing",
      "Not committed, as far as this node can see",
      `${found.of.type}/${found.of.id} has no outcome of this command. ${waiting}`,
      again,
    );
  return state(
    "missing",
    "Not found, as far as this node can see",
    h(
      "span",
      null,
      `No traced record carries the id ${q}. An Idempotency-Key of your own belongs to ` +
        "its aggregate: look for ",
      h("span.mono", null, `TYPE/ID/${q}`),
      `. ${waiting}`,
    ),
    again,
  );
}

// ---- what belongs together

const correlation = (q, { related, more }) => [
  h(
    "header.verdict",
    null,
    icon("counts"),
    h(
      "div",
      null,
      h(
        "h1",
        null,
        `${plural(related.length + more, "record carries", "records carry")} this correlation id`,
      ),
      h(
        "p",
        null,
        related.filter(r => r.mark !== "counts").length
          ? "Not all of them count."
          : "All of them count.",
      ),
      h(
        "div.actions",
        null,
        h("a.btn", { href: `#/trace/${enc(q)}` }, "Causation tree"),
        h("a.btn", { href: `#/log?correlation=${enc(q)}` }, "In the log"),
      ),
    ),
  ),
  h(
    "table",
    null,
    h(
      "tbody",
      null,
      related.map(r =>
        h(
          "tr",
          null,
          h("td", null, mark(r.mark)),
          h("th", { scope: "row" }, r.command ?? ""),
          h("td.p1", null, r.aggregate && aggregateLink(r.aggregate)),
          h("td.p2", null, (r.events ?? []).map(e => e.type).join(", ")),
          h("td.r", null, findLink(r.position)),
        ),
      ),
    ),
  ),
];

// ---- one record

const VERDICTS = {
  counts: "Landed, and it counts",
  claim: "A claim: a node took the partition",
  void: "Landed, but void",
  foreign: "Foreign: not written by Retell",
};

async function record(page, answer, { record: r, others, aggregate }) {
  const counts = r.mark === "counts",
    isRead = counts && !r.refused && session.can("read");
  const readers = h("div"),
    after = h("div");
  swap(
    answer,
    verdict(r, others, aggregate),
    h(
      "div.columns.find-columns",
      null,
      h(
        "div.stack",
        null,
        isRead &&
          h(
            "section",
            { "aria-labelledby": "h-read" },
            heading(
              "h-read",
              "Who has read it",
              h("span.muted.small.p1", null, "The tick is the write"),
            ),
            readers,
          ),
        counts &&
          !r.refused &&
          h("section", { "aria-labelledby": "h-pol" }, heading("h-pol", "What followed"), after),
        r.events?.length > 0 &&
          h(
            "section",
            { "aria-labelledby": "h-ev" },
            heading("h-ev", plural(r.events.length, "event")),
            r.events.map(event),
          ),
      ),
      h(
        "section",
        { "aria-labelledby": "h-rec" },
        heading(
          "h-rec",
          "Record",
          copyButton(() => JSON.stringify(r, null, 2), "record"),
        ),
        facts(recordFacts(r), copyButton),
      ),
    ),
  );
  if (!counts || r.refused) return;
  const table = readersTable(parsePosition(r.position), r.aggregate);
  swap(readers, table.el);
  const update = async () => {
    if (isRead) table.set(await progress(page));
    await followUps(page, after, r);
  };
  await update();
  page.every(EVERY_MS, update);
}

// Policies are told of to operators only.
async function progress(page) {
  if (session.can("admin")) return page.get("/admin/status");
  return { projections: (await page.get("/projections")).items, policies: [] };
}

const event = e =>
  h(
    "div.event",
    null,
    h("p", null, h("strong", null, e.type), muted(` version ${e.version}, `), idOf(e.id)),
    json(e.data, `Data of ${e.type}`),
  );

function verdict(r, others, aggregate) {
  const kind = r.refused ? "refused" : r.mark,
    wasVoid = r.mark === "void";
  const title = aggregate
    ? `${aggregate.aggregate.type}/${aggregate.aggregate.id} is at version ${aggregate.version}`
    : r.refused
      ? `Refused: ${r.refused.code}`
      : VERDICTS[r.mark];
  const again = others.filter(o => o.mark === (wasVoid ? "counts" : "void"));
  return h(
    "header",
    { class: `verdict ${kind}` },
    icon(r.refused ? "warn" : r.mark),
    h(
      "div",
      null,
      h("h1", null, title),
      h("p", null, whereAndWhen(r, aggregate)),
      r.refused &&
        h(
          "p",
          null,
          `${r.refused.detail}. The record keeps the refusal, so that a repeat gets the ` +
            "same answer. No event was written.",
        ),
      r.reason && h("p", null, `Why: ${r.reason}. It changed nothing.`),
      again.map(o =>
        wasVoid
          ? h("p", null, "The command ran again and counts at ", findLink(o.position), ", once.")
          : h(
              "p.muted",
              null,
              "A first attempt at ",
              findLink(o.position),
              " is void; the command ran again and counts here, once.",
            ),
      ),
      h("div.actions", null, links(r)),
    ),
  );
}

const whereAndWhen = (r, aggregate) => [
  aggregate
    ? ["The last write landed at ", h("span.mono.strong", null, r.position)]
    : r.aggregate && [r.command && `${r.command} `, "on ", aggregateLink(r.aggregate)],
  !aggregate &&
    r.events?.length > 0 && [
      r.mark === "counts" ? ", version " : ", meant as version ",
      h("span.strong", null, r.version),
    ],
  muted(" · "),
  h("span", { title: r.time }, dayTime(r.time)),
  muted(" · "),
  ago(r.time),
];

function links(r) {
  const { partition, offset } = parsePosition(r.position),
    has = r.mark === "counts" && r.events?.length;
  return [
    r.aggregate &&
      h(
        "a.btn",
        { href: aggregateHref(r.aggregate, has ? r.version : null) },
        has ? `State at version ${r.version}` : "Open the aggregate",
      ),
    r.correlation_id && h("a.btn", { href: `#/trace/${enc(r.correlation_id)}` }, "Causation tree"),
    h(
      "a.btn",
      { href: `#/log?partition=${partition}&from=${Math.max(0, offset - 20)}&open=${r.position}` },
      "In the log",
    ),
  ];
}
