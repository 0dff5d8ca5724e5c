// The log: live tail with validity marks; a row opens the full record beside it.

import { col, h, swap } from "../elements.js";
import { icon } from "../icons.js";
import { LogPages, newestFirst } from "../log-pages.js";
import { logFilters } from "../log-filters.js";
import { logRow } from "../log-row.js";
import { closePanel, recordPanel } from "../record-panel.js";
import { enterRows, rowKeys } from "../rows.js";
import { announce, loading, state } from "../states.js";
import { num } from "../values.js";

const KEPT = 300,
  SCROLLED_PX = 120;

export default async function log(page) {
  page.title("Log");
  const partitions = Math.max(
    0,
    ...(await page.get("/projections")).items.map(x => x.partitions.length),
  );
  const filters = logFilters(page, partitions, () => begin());
  let rows = [],
    waiting = [],
    isPaused = page.query.has("from"),
    open = page.query.get("open"),
    back = null,
    tail = null;

  const live = h("button.btn.live", { title: "Space", onclick: () => pause(!isPaused) }),
    fresh = h("button.btn.more", { hidden: true, onclick: () => pause(false) });
  const body = h("tbody"),
    none = h("div"),
    earlier = h("div.actions"),
    panel = recordPanel(close);
  const head = h(
    "tr",
    null,
    col("Mark"),
    col("Position"),
    col("Time", "p1"),
    col("Aggregate"),
    col("Ver.", "r p1"),
    col("Events", "p1 wide"),
    col("Command", "p2"),
    col("Term", "r p3"),
    col("Chain", "r p3"),
  );
  page.root.append(
    h(
      "header.page-head",
      null,
      h(
        "div",
        null,
        h("h1", null, "Log"),
        h("p.muted", null, "Every record, in order within its partition."),
      ),
      h("div.actions", null, fresh, live),
    ),
    filters.el,
    h(
      "div.split",
      null,
      h(
        "div.split-main",
        null,
        h("table.log.rows", null, h("thead", null, head), body),
        none,
        earlier,
      ),
      panel.el,
    ),
  );

  // ---- reading

  // The stream says first where it begins; what is before that is read in pages.
  async function begin() {
    tail?.abort();
    tail = new AbortController();
    page.signal.addEventListener("abort", () => tail.abort(), { once: true });
    [rows, waiting, back] = [[], [], null];
    draw();
    if (page.query.has("from")) return fromHere();
    swap(none, loading());
    page.follow(`/events?${new URLSearchParams(filters.parameters())}`, tail.signal, {
      place: positions => {
        if (!back) first(positions);
      },
      event: (kind, r) => (kind === "record" ? add(r) : kind === "reset" && begin()),
      open: () => say("open"),
      broken: () => say("broken"),
    });
  }
  async function first(positions) {
    const wanted = filters.partition(),
      ends = positions
        .split(", ")
        .map(p => p.split("@").map(Number))
        .filter(([p]) => wanted === null || p === wanted);
    back = new LogPages(
      page,
      filters.parameters(),
      ends.map(([partition, offset]) => [partition, offset + 1]),
    );
    if (filters.correlation()) return together();
    await more();
  }
  // What belongs together is found without reading the log.
  async function together() {
    const { items } = await page.get(`/events?${new URLSearchParams({ ...filters.parameters() })}`);
    back = new LogPages(page, {}, []);
    keep(items);
    draw();
  }
  async function more() {
    const mine = back,
      found = await back.next();
    if (mine !== back) return;
    keep(found);
    draw();
  }
  async function fromHere() {
    const query = new URLSearchParams({ ...filters.parameters(), from: page.query.get("from") });
    keep((await page.get(`/events?${query}`)).items);
    back = new LogPages(page, {}, []);
    draw();
    pause(true);
    const wanted = rows.find(r => r.position === open);
    if (wanted) show(wanted);
  }
  function keep(items) {
    const known = new Set(rows.map(r => r.position));
    rows = [...rows, ...items.filter(r => !known.has(r.position))].sort(newestFirst);
  }
  function add(r) {
    if (rows.some(known => known.position === r.position)) return;
    if (isPaused || scrollY > SCROLLED_PX) {
      waiting = [...waiting, r].slice(-KEPT);
      if (!isPaused) pause(true);
      swap(fresh, `${num(waiting.length)} new`);
      fresh.hidden = false;
      return;
    }
    rows = [r, ...rows].slice(0, Math.max(KEPT, rows.length));
    swap(none);
    const tr = row(r);
    tr.classList.add("fresh");
    body.prepend(tr);
    while (body.children.length > rows.length) body.lastChild.remove();
  }

  // ---- showing

  const row = r => {
    const tr = logRow(r, () => show(r));
    tr.setAttribute("aria-selected", String(open === r.position));
    return tr;
  };
  function draw() {
    swap(body, rows.map(row));
    filters.offer(rows);
    swap(
      none,
      back &&
        !rows.length &&
        state(
          "empty",
          "No record matches",
          back.hasMore
            ? "None of the newest. The tail goes on, and there is more to look through."
            : "The tail goes on: what matches appears here.",
          !filters.isOpen() && h("button.btn", { onclick: filters.clear }, "Clear filters"),
        ),
    );
    swap(earlier, back?.hasMore && h("button.btn", { onclick: more }, "Earlier"));
  }
  function show(r) {
    open = r.position;
    page.setQuery({ open });
    for (const tr of body.children)
      tr.setAttribute("aria-selected", String(tr.dataset.position === open));
    panel.show(r);
  }
  function close() {
    const tr = body.querySelector(`[data-position="${open}"]`);
    open = null;
    closePanel(panel.el);
    page.setQuery({ open });
    tr?.setAttribute("aria-selected", "false");
    tr?.focus();
  }
  function pause(yes) {
    isPaused = yes;
    if (!isPaused) {
      if (page.query.has("from")) {
        page.setQuery({ from: null });
        begin();
      } else {
        rows = [...waiting.toReversed(), ...rows].slice(0, KEPT);
        draw();
      }
      waiting = [];
      if (scrollY > SCROLLED_PX) scrollTo(0, 0);
    }
    fresh.hidden = !isPaused || !waiting.length;
    say(live.dataset.connection ?? "open");
  }
  // Whether it follows, and whether the service lets it.
  function say(connection) {
    live.dataset.connection = connection;
    const isBroken = connection === "broken" && !isPaused;
    swap(
      live,
      icon(isPaused ? "play" : isBroken ? "warn" : "pause"),
      isPaused ? "Follow" : isBroken ? "Reconnecting" : "Pause",
    );
    live.setAttribute(
      "aria-label",
      isPaused ? "Follow the tail" : isBroken ? "Reconnecting; pause the tail" : "Pause the tail",
    );
    page.root.classList.toggle("paused", isPaused);
  }
  page.keys(e => {
    if (e.key === " " && !e.target.matches("button,a,summary")) {
      e.preventDefault();
      pause(!isPaused);
      announce(isPaused ? "Paused" : "Following");
    }
    if (e.key === "Escape" && open) close();
  });
  rowKeys(body);
  enterRows(page, body);
  pause(isPaused);
  await begin();
}
