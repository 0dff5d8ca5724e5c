// Home: the search box, then one sentence about the system, partitions and projections.

import { session } from "../api.js";
import { commandForm } from "../command-form.js";
import { aggregateTypes } from "../commands.js";
import { h, heading, swap } from "../elements.js";
import { icon } from "../icons.js";
import { searchBox } from "../search.js";
import { state } from "../states.js";
import {
  BEHIND_RECORDS,
  partitionTable,
  policyTable,
  projectionTable,
  topicTable,
} from "../tables.js";
import { num, plural } from "../values.js";

const EVERY_MS = 2_000;

export default async function home(page) {
  page.title("Home");
  const hero = h(
    "section.hero",
    { "aria-label": "Search" },
    searchBox({ focus: matchMedia("(min-width: 700px)").matches }),
  );
  if (!session.can("admin")) return page.root.append(hero, await withoutStatus(page));
  const status = await page.get("/admin/status");
  if (session.can("write") && session.can("audit") && (await isEmpty(page, status)))
    return empty(page, status);

  const { id, address } = status.node,
    sentence = h("p.sentence"),
    partitions = partitionTable(status),
    projections = projectionTable(status.projections),
    policies = policyTable(status),
    topics = topicTable(status);
  const section = (id, title, table, ...more) =>
    h("section", { "aria-labelledby": id }, heading(id, title, ...more), table.el);
  page.root.append(
    hero,
    sentence,
    h(
      "div.columns",
      null,
      section(
        "h-parts",
        "Partitions",
        partitions,
        h("span.muted.small", null, `node ${id} at ${address}, version ${status.version}`),
      ),
      h(
        "div.stack",
        null,
        section("h-views", "Projections", projections),
        status.policies.length > 0 && section("h-pol", "Policies", policies),
        topics && section("h-topics", "Inbox and outbox", topics),
      ),
    ),
  );
  const set = now => {
    partitions.set(now);
    projections.set(now.projections);
    policies.set(now);
    topics?.set(now);
    swap(sentence, summary(now));
  };
  set(status);
  page.every(EVERY_MS, async () => set(await page.get("/admin/status")));
}

// How the nodes stand is told to operators only.
async function withoutStatus(page) {
  if (!session.canSome("read")) {
    return state("forbidden", "How the system stands is not shown to this key", "Search is.");
  }
  const { items } = await page.get("/projections"),
    table = projectionTable(items);
  page.every(EVERY_MS, async () => table.set((await page.get("/projections")).items));
  return h(
    "section",
    { "aria-labelledby": "h-views" },
    heading("h-views", "Projections"),
    table.el,
  );
}

function summary(status) {
  const lost = status.partitions.filter(p => p.state !== "owner" && p.state !== "deposed"),
    behind = status.projections.filter(x => x.lag > BEHIND_RECORDS);
  const parked = [
    ...status.projections.map(x => x.parked),
    ...status.policies.flatMap(x => x.partitions.map(p => p.parked)),
  ].reduce((n, more) => n + more, 0);
  const owners = new Set(
    status.partitions.map(p => (p.state === "deposed" ? p.by : status.node.id)),
  ).size;
  const isCalm = status.ready && !lost.length && !behind.length && !parked;
  return [
    icon(isCalm ? "counts" : "warn"),
    h(
      "span",
      null,
      lost.length
        ? `${plural(lost.length, "partition")} without an owner. `
        : `${plural(status.partitions.length, "partition")} owned by ${plural(owners, "node")}. `,
      behind.length
        ? behind.map(x => `${x.name} is ${num(x.lag)} records behind. `)
        : "All projections are at the end. ",
      parked
        ? h("a", { href: "#/parked" }, `${plural(parked, "aggregate")} parked`)
        : "Nothing is parked",
      ". ",
      status.reasons.map(reason => [h("strong", null, `${reason.code}: `), `${reason.detail}. `]),
      session.canSome("write") && h("a", { href: "#/send" }, "Send a command"),
    ),
  ];
}

// ---- an empty log

// A log in which something was written is long, or its claims are few.
const SHORT_RECORDS = 64;

async function isEmpty(page, status) {
  if (status.partitions.some(p => p.end === null || p.end > SHORT_RECORDS)) return false;
  for (let cursor = ""; ;) {
    const found = await page.get(`/events?marks=counts&limit=1${cursor}`);
    if (found.items.length) return false;
    if (!found.next_cursor) return true;
    cursor = `&cursor=${found.next_cursor}`;
  }
}

// Nothing was ever written: offer one command, ready to send.
async function empty(page, status) {
  const types = await aggregateTypes(),
    isShipped = types.includes("account");
  const to = isShipped ? { type: "account", id: "ann" } : { type: types[0], id: "first" };
  const onDone = done => {
    location.hash = `#/find?q=${done.position}`;
  };
  const form = await commandForm({ to, command: "OpenAccount", values: { owner: "Ann" }, onDone });
  const owned = status.partitions.filter(p => p.state === "owner").length;
  page.root.append(
    h(
      "header.hero",
      null,
      h("h1.big", null, "The log is empty"),
      h(
        "p.muted",
        null,
        `${plural(owned, "partition")} of ${status.partitions.length} owned by this node ` +
          "and ready; nothing was written yet.",
      ),
    ),
    h(
      "section.first",
      { "aria-labelledby": "h-first" },
      h("h2", { id: "h-first" }, "Send the first command"),
      h(
        "p.muted.lede",
        null,
        isShipped ? "It opens an account. " : `It goes to ${to.type}/${to.id}. `,
        "The answer shows where its event landed and which projections have it.",
      ),
      form.el,
    ),
  );
}
