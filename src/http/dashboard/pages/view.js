// One view beside the events that made it.

import { Problem, session } from "../api.js";
import { h, heading, swap } from "../elements.js";
import { eventsOf, versionOf } from "../history.js";
import { icon } from "../icons.js";
import { json } from "../json.js";
import { problem, state } from "../states.js";
import { timelineRow } from "../timeline.js";
import { aggregateHref, copyButton, enc, plural } from "../values.js";

const EVENTS_SHOWN = 100;

export default async function view(page) {
  const [name, key] = page.params,
    path = `/projections/${enc(name)}/${enc(key)}`;
  page.title(`${name}/${key}`);
  const x = (await page.get("/projections")).items.find(p => p.name === name);
  if (!x)
    return page.root.append(
      state(
        "missing",
        "No such projection",
        `There is no projection ${name}.`,
        h("a.btn", { href: "#/projections" }, "All projections"),
      ),
    );
  const type = x.keyed_by.aggregate,
    of = type && { type, id: key };
  const left = h("div"),
    right = h("div"),
    note = h("div"),
    count = h("span.muted.small");
  page.root.append(
    h(
      "header.page-head",
      null,
      h(
        "div",
        null,
        h(
          "p.crumb",
          null,
          h("a", { href: "#/projections" }, "Projections"),
          " / ",
          h("a", { href: `#/projections/${enc(name)}` }, name),
        ),
        h("h1.mono", null, key),
        h(
          "p.muted",
          null,
          `revision ${x.revision} · generation `,
          h("span.mono.small", null, x.generation ?? "none yet"),
        ),
      ),
      of &&
        session.can("audit", type) &&
        h("div.actions", null, h("a.btn", { href: aggregateHref(of) }, "Open the aggregate")),
    ),
    note,
    h(
      "div.columns.view-columns",
      null,
      h(
        "section",
        { "aria-labelledby": "h-view" },
        heading(
          "h-view",
          "View",
          copyButton(() => left.textContent, "view"),
        ),
        left,
      ),
      h(
        "section",
        { "aria-labelledby": "h-made" },
        heading("h-made", "Events that made it", count),
        right,
      ),
    ),
  );

  const put = value => swap(left, json(value, "View"));
  async function load(headers) {
    try {
      put(await page.get(path, { headers }));
      swap(note);
    } catch (e) {
      if (!(e instanceof Problem) || e.status === 401) throw e;
      if (e.code !== "behind") return swap(left, problem(e));
      swap(left, h("p.muted.note", null, "Waiting for the write."));
      swap(
        note,
        state(
          "behind",
          "Not there yet",
          e.detail,
          h("button.btn", { onclick: () => load(headers) }, "Wait again"),
          h("button.btn", { onclick: () => load() }, "Show what there is"),
        ),
      );
    }
  }
  const after = page.query.get("after");
  await load(after ? { "Retell-Position": after } : undefined);

  const parked =
    x.parked > 0 && session.can("admin") ? await parkedOf(page, name, `${type}/${key}`) : null;
  if (parked) swap(note, parkedNote(parked));
  const events = () =>
    drawEvents(page, { of, right, count, parked, merged: x.keyed_by === "merged" });
  await events();
  page.stream(path, {
    event: async (kind, data) => {
      if (kind === "put" && !parked) put(data.view);
      if (kind === "delete" || kind === "reset") await load();
      if (kind !== "lagging") await events();
    },
  });
}

const parkedOf = async (page, name, aggregate) =>
  (await page.get("/admin/parked")).items.find(
    p => p.projection === name && p.aggregate === aggregate && p.state === "parked",
  );

const parkedNote = p =>
  h(
    "div.state.error",
    null,
    icon("parked"),
    h(
      "div",
      null,
      h("p.state-title", null, `Parked since ${p.position}`),
      h(
        "p.muted",
        null,
        `${p.error}. The view stands still before that event; ` +
          `${plural(p.count, "record waits", "records wait")}.`,
      ),
      h("div.actions", null, h("a.btn", { href: `#/parked?open=${enc(p.id)}` }, "Inspect")),
    ),
  );

async function drawEvents(page, { of, right, count, parked, merged }) {
  if (!of)
    return swap(
      right,
      h(
        "p.muted.note",
        null,
        merged
          ? "A merged view: each partition keeps its part, a query adds them up. Its " +
              "events come from many aggregates, so they are not listed here."
          : "This view is of no aggregate.",
      ),
    );
  if (!session.can("audit", of.type))
    return swap(right, h("p.muted.note", null, "Events are shown to the role audit."));
  try {
    const path = `/aggregates/${enc(of.type)}/${enc(of.id)}`,
      version = await versionOf(page, path),
      first = Math.max(1, version - EVENTS_SHOWN + 1),
      items = await eventsOf(page, path, first, version);
    swap(count, plural(version, "event"), version > items.length && `, the last ${items.length}`);
    const isLater = e => parked?.event.version && e.version >= parked.event.version;
    swap(
      right,
      h(
        "ol.timeline.tall",
        null,
        items
          .toReversed()
          .map(e =>
            h(
              "li",
              { class: isLater(e) ? "later" : "" },
              h("a", { href: aggregateHref(of, e.version) }, timelineRow(e)),
            ),
          ),
      ),
    );
  } catch (e) {
    if (!(e instanceof Problem)) throw e;
    swap(
      right,
      e.code === "aggregate_not_found" ? h("p.muted.note", null, "No event yet.") : problem(e),
    );
  }
}
