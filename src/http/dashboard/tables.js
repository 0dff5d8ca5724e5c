// Tables that change in place: partitions, projections, policies and topics.

import { col, h, muted, swap, zero } from "./elements.js";
import { sparkline } from "./graphics.js";
import { icon } from "./icons.js";
import { enc, num, span } from "./values.js";

// A view is behind when it is so by more than a busy log has on its way.
export const BEHIND_RECORDS = 1_000;

// For how long it has been so is told where it is a matter of concern.
export function lagCell(cell, records, seconds = 0) {
  const long = records > BEHIND_RECORDS && seconds >= 1 ? ` · ${span(seconds)}` : "";
  cell.textContent = records === null ? "–" : num(records) + long;
  cell.classList.toggle("zero", !records);
  cell.classList.toggle("warn", records > BEHIND_RECORDS);
}

const CALM = ["following", "standing_by"];
export const stateOf = name =>
  CALM.includes(name)
    ? muted(name.replaceAll("_", " "))
    : h(
        "span.state-word",
        null,
        icon(
          name === "paused"
            ? "pause"
            : ["building", "comparing", "starting"].includes(name)
              ? "replay"
              : "warn",
        ),
        name.replaceAll("_", " "),
      );

// ---- partitions

export function partitionTable(status) {
  const rows = status.partitions.map(({ partition }) => {
    const spark = sparkline(),
      cells = {
        owner: h("td"),
        term: h("td.r"),
        end: h("td.r"),
        lag: h("td.r"),
        odd: h("td.r.p2"),
      };
    const name = h(
      "a",
      { href: `#/log?partition=${partition}`, "aria-label": `Partition ${partition}, log` },
      partition,
    );
    const tr = h(
      "tr",
      { "data-partition": partition },
      h("th", { scope: "row" }, name),
      cells.owner,
      cells.term,
      cells.end,
      cells.lag,
      h("td.spark-cell.p1", null, spark.el),
      cells.odd,
    );
    return { tr, cells, spark };
  });
  const head = h(
    "tr",
    null,
    col("#"),
    col("Owner"),
    col("Term", "r"),
    col("End", "r"),
    col("Lag", "r"),
    col("Last 5 min", "p1"),
    h(
      "th",
      { scope: "col", class: "r p2", title: "Void and foreign records since this node started" },
      "Void / foreign",
    ),
  );
  const el = h(
    "table.partitions",
    null,
    h("thead", null, head),
    h(
      "tbody",
      null,
      rows.map(row => row.tr),
    ),
  );
  const set = now => {
    const top = Math.max(100, ...now.partitions.flatMap(p => p.recent_lag));
    now.partitions.forEach((p, i) => setPartition(rows[i], p, now, top));
  };
  set(status);
  return { el, set };
}

function setPartition({ cells, spark }, p, status, top) {
  swap(cells.owner, ownerOf(p, status.node));
  cells.term.textContent = p.term ?? "–";
  cells.end.textContent = p.end ?? "–";
  lagCell(cells.lag, lagOf(p.partition, status));
  spark.set(p.recent_lag, top);
  const count = n => h("span", { class: n ? "" : "zero" }, num(n));
  swap(cells.odd, count(p.records.void), zero(" / "), count(p.records.foreign));
}

// The address of this node stands above the table; that of another is where to look next.
export function ownerOf(p, node) {
  if (p.state === "owner") return h("span", { title: node.address }, node.id);
  if (p.state === "deposed")
    return h(
      "span",
      { title: "As its claim says" },
      p.owner?.node ?? p.by,
      p.owner && h("span.muted.small.owner-at", null, p.owner.address),
    );
  return h("span.warn", { title: p.reason }, icon("warn"), p.state.replaceAll("_", " "));
}

// What the projection furthest behind has still to fold.
const lagOf = (partition, status) =>
  Math.max(0, ...status.projections.map(x => x.partitions[partition]?.lag ?? 0));

// ---- projections

export function projectionTable(items) {
  const rows = items.map(({ name, revision }) => {
    const cells = {
      generation: h("td.mono.small.p2"),
      state: h("td.p1"),
      lag: h("td.r"),
      parked: h("td.r"),
    };
    return {
      cells,
      tr: h(
        "tr",
        null,
        h("th", { scope: "row" }, h("a", { href: `#/projections/${enc(name)}` }, name)),
        h("td.r.p1", null, revision),
        cells.generation,
        cells.state,
        cells.lag,
        cells.parked,
      ),
    };
  });
  const head = h(
    "tr",
    null,
    col("Name"),
    col("Rev.", "r p1"),
    col("Generation", "p2"),
    col("State", "p1"),
    col("Lag", "r"),
    col("Parked", "r"),
  );
  const el = h(
    "table",
    null,
    h("thead", null, head),
    h(
      "tbody",
      null,
      rows.map(row => row.tr),
    ),
  );
  const set = list =>
    list.forEach((x, i) => {
      const { generation, state, lag, parked } = rows[i].cells;
      generation.textContent = x.generation?.slice(-12) ?? "none";
      generation.title = x.generation ?? "";
      swap(state, stateOf(x.state));
      lagCell(lag, x.lag, x.lag_seconds);
      swap(
        parked,
        x.parked
          ? h("a.warn", { href: `#/parked?projection=${enc(x.name)}` }, x.parked)
          : zero("0"),
      );
    });
  set(items);
  return { el, set };
}

// ---- policies

export function policyTable(status) {
  const rows = status.policies.map(({ name }) => {
    const cells = { state: h("td.p1"), lag: h("td.r"), parked: h("td.r") };
    return {
      cells,
      tr: h("tr", null, h("th", { scope: "row" }, name), cells.state, cells.lag, cells.parked),
    };
  });
  const el = h(
    "table",
    null,
    h(
      "thead",
      null,
      h("tr", null, col("Name"), col("State", "p1"), col("Lag", "r"), col("Parked", "r")),
    ),
    h(
      "tbody",
      null,
      rows.map(row => row.tr),
    ),
  );
  const set = now =>
    now.policies.forEach((policy, i) => {
      const { state, lag, parked } = rows[i].cells,
        held = policy.partitions.reduce((n, p) => n + p.parked, 0);
      swap(
        state,
        stateOf(policy.partitions.find(p => !CALM.includes(p.state))?.state ?? "following"),
      );
      lagCell(lag, policyLag(policy, now));
      swap(
        parked,
        held
          ? h("a.warn", { href: `#/parked?projection=policy.${enc(policy.name)}` }, held)
          : zero("0"),
      );
    });
  set(status);
  return { el, set };
}

const policyLag = (policy, status) =>
  policy.partitions.reduce(
    (n, p) => n + Math.max(0, (status.partitions[p.partition].end ?? 0) - p.next),
    0,
  );

// ---- inbox and outbox

// Null where both are off.
export function topicTable(status) {
  const all = now =>
    [
      ["Inbox", now.inbox],
      ["Outbox", now.outbox],
    ].filter(([, of]) => of);
  if (!all(status).length) return null;
  const body = h("tbody"),
    el = h(
      "table",
      null,
      h("thead", null, h("tr", null, col("Topic"), col("Name"), col("Lag", "r"))),
      body,
    );
  const set = now =>
    swap(
      body,
      all(now).map(([name, { topic, partitions }]) => {
        const lag = h("td.r");
        lagCell(
          lag,
          partitions.reduce((n, p) => n + (p.lag ?? 0), 0),
        );
        return h("tr", null, h("th", { scope: "row" }, name), h("td.mono.small", null, topic), lag);
      }),
    );
  set(status);
  return { el, set };
}
