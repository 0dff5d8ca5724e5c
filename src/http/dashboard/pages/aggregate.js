// One aggregate: its events, its state at any version, what changed between two, and a form for
// its commands.

import { session } from "../api.js";
import { commandForm } from "../command-form.js";
import { h, heading, muted, swap } from "../elements.js";
import { historyOf } from "../history.js";
import { icon } from "../icons.js";
import { diff, json } from "../json.js";
import { state } from "../states.js";
import { timelineRow } from "../timeline.js";
import { ago, enc, num } from "../values.js";

const EVERY_MS = 2_000;

export default async function aggregate(page) {
  const [type, id] = page.params,
    path = `/aggregates/${enc(type)}/${enc(id)}`;
  page.title(`${type}/${id}`);
  const history = await historyOf(page, path),
    body = h("div"),
    meta = h("p.muted");
  let timeline = null;
  const form =
    session.can("write", type) &&
    (await commandForm({
      to: { type, id },
      command: history.get(history.version)?.command,
      version: () => history.version || null,
      onDone: () => look(),
    }));
  page.root.append(
    h("header.page-head", null, h("div", null, h("h1.mono", null, `${type}/${id}`), meta)),
    body,
    form &&
      h(
        "section.send",
        { id: "send", "aria-labelledby": "h-send" },
        heading(
          "h-send",
          "Send a command",
          h("span.muted.small.mono", null, `POST /commands/${type}/${id}`),
        ),
        form.el,
      ),
  );

  async function draw() {
    if (!history.version)
      return swap(
        body,
        state(
          "empty",
          "Nothing there yet",
          `No event of ${type}/${id} counts. A command can make its first.`,
        ),
      );
    const last = history.get(history.version);
    if (last)
      swap(
        meta,
        `version ${num(history.version)}`,
        ` · partition ${last.position.split("@")[0]} · last event `,
        ago(last.time),
        " · ",
        h("a", { href: `#/find?q=${enc(`${type}/${id}`)}` }, "where is its last write?"),
      );
    if (!timeline) {
      timeline = scrubber(page, path, history);
      swap(body, timeline.el);
    }
    await timeline.draw();
    form?.draw?.();
  }
  async function look() {
    const wasLast = timeline?.isLast() ?? true;
    if (
      !(await history.refresh().catch(e => {
        if (e.code !== "aggregate_not_found") throw e;
      }))
    )
      return;
    if (wasLast) timeline?.toLast();
    await draw();
  }
  await draw();
  page.every(EVERY_MS, look);
}

// ---- the slider, the events beside it, and the state that it stands at

function scrubber(page, path, history) {
  const asked = page.query.get("version"),
    compared = page.query.get("compare");
  let version = Math.min(Math.max(1, +(asked ?? history.version) || 1), history.version),
    base = compared === null ? null : +compared,
    request = 0;
  const slider = h("input", {
    type: "range",
    min: 1,
    id: "version",
    "aria-label": "Version",
    oninput: () => choose(+slider.value),
  });
  const number = h("output", { for: "version", class: "version-now" }),
    against = h("input", {
      id: "compare",
      type: "number",
      min: 0,
      placeholder: "the one before",
      value: base ?? "",
      onchange: () => {
        base = against.value === "" ? null : +against.value;
        choose(version);
      },
    });
  const step = (name, label, by) =>
    h(
      "button.btn.icon-only",
      { "aria-label": label.split("  ")[0], title: label, onclick: () => choose(version + by) },
      icon(name),
    );
  const back = step("left", "Version before  [", -1),
    on = step("right", "Version after  ]", 1);
  const list = h("ol.timeline", { "aria-label": "Events, newest first" }),
    more = h("div.actions"),
    shown = h("div.state-json", { "aria-live": "polite" }),
    caption = h("h2", { id: "h-state" });
  page.keys(e => {
    if (e.key === "[") choose(version - 1);
    if (e.key === "]") choose(version + 1);
  });

  const el = h(
    "div",
    null,
    h(
      "div.scrub",
      null,
      back,
      slider,
      on,
      number,
      h("label.compare", null, muted("compare with version"), against),
    ),
    h(
      "div.columns.aggregate-columns",
      null,
      h("section", { "aria-labelledby": "h-events" }, heading("h-events", "Events"), list, more),
      h(
        "section.lead",
        { "aria-labelledby": "h-state" },
        h(
          "div.section-head",
          null,
          caption,
          h(
            "span.muted.small.legend",
            null,
            h("span.add", null, "+ added"),
            h("span.del", null, "− removed"),
          ),
        ),
        shown,
      ),
    ),
  );

  function drawList() {
    swap(
      list,
      history.events
        .toReversed()
        .map(e =>
          h(
            "li",
            { "data-version": e.version },
            h("button", { type: "button", onclick: () => choose(e.version) }, timelineRow(e)),
          ),
        ),
    );
    const earlier = async () => {
      await history.earlier();
      drawList();
      drawChoice();
    };
    swap(
      more,
      history.first > 1 &&
        h("button.btn", { onclick: earlier }, `Earlier, ${num(history.first - 1)} more`),
    );
  }
  // Version 0 is nothing: then the whole state is shown.
  const other = () => Math.min(base ?? version - 1, history.version);

  function drawChoice() {
    slider.max = history.version;
    slider.value = version;
    slider.setAttribute(
      "aria-valuetext",
      `version ${version} of ${history.version}, ${history.get(version)?.type ?? ""}`,
    );
    against.max = history.version;
    swap(number, h("strong", null, num(version)), muted(` of ${num(history.version)}`));
    back.disabled = version === 1;
    on.disabled = version === history.version;
    for (const li of list.children) {
      const at = +li.dataset.version;
      li.className =
        at === version ? "now" : at > version ? "later" : at === other() && at > 0 ? "other" : "";
      li.firstChild.setAttribute("aria-current", String(at === version));
    }
    const now = list.querySelector(".now");
    if (now && list.scrollHeight > list.clientHeight)
      list.scrollTop = now.offsetTop - list.clientHeight / 2;
  }
  const stateAt = async at =>
    at > 0 ? (await page.get(`${path}?version=${at}`)).state : undefined;

  async function choose(wanted) {
    version = Math.max(1, Math.min(history.version, wanted));
    const mine = ++request;
    page.setQuery({ version: version === history.version ? null : version, compare: base });
    drawChoice();
    if (!history.has(version)) {
      await history.show(Math.min(history.version, version + 20));
      drawList();
      drawChoice();
    }
    const [before, now] = await Promise.all([stateAt(other()), stateAt(version)]);
    if (mine !== request) return;
    swap(
      caption,
      base === 0
        ? `State at version ${version}`
        : other() > 0
          ? `State at version ${version}, against ${other()}`
          : `State at version ${version}, its first`,
    );
    swap(
      shown,
      base === 0
        ? json(now, `State at version ${version}`)
        : diff(
            before,
            now,
            `State at version ${version}, differences to version ${other()} are marked`,
          ),
    );
  }
  return {
    el,
    draw() {
      drawList();
      return choose(version);
    },
    isLast: () => version >= history.version,
    toLast() {
      version = history.version;
    },
  };
}
