// The views of a projection as a list that offers only what a declared index serves.

import { h, swap, zero } from "./elements.js";
import { icon } from "./icons.js";
import { short } from "./json.js";
import { rowKeys, enterRows } from "./rows.js";
import { Problem } from "./api.js";
import { problem, state } from "./states.js";
import { copyButton, dayTime, enc, isNumber, isTime, num, viewHref } from "./values.js";

const COLUMNS_MAX = 9;

export async function viewList(page, { name, indexes }) {
  const index = h(
    "select",
    {
      id: "q-index",
      onchange: () => {
        build();
        load();
      },
    },
    indexes.map((fields, i) => h("option", { value: i }, fields.join(", "))),
  );
  const slots = h("div.slots"),
    route = h("code"),
    out = h("div"),
    next = h("div.actions");
  let items = [],
    inputs = {},
    isDown = page.query.get("desc") === "1";
  index.value = String(
    Math.max(
      0,
      indexes.findIndex(fields => fields.join(", ") === page.query.get("index")),
    ),
  );
  const fields = () => indexes[index.value];

  function input(parameter, label, placeholder) {
    inputs[parameter] = h("input", {
      id: `q-${parameter}`,
      type: "text",
      placeholder,
      value: page.query.get(parameter) ?? "",
      autocomplete: "off",
      spellcheck: "false",
      onchange: load,
    });
    return h("div.field", null, h("label", { for: `q-${parameter}` }, label), inputs[parameter]);
  }
  function build() {
    inputs = {};
    const last = fields().at(-1),
      order = h("button.btn", {
        onclick: () => {
          isDown = !isDown;
          say();
          load();
        },
      });
    const say = () => {
      swap(order, icon("down"), isDown ? "highest first" : "lowest first");
      order.classList.toggle("up", !isDown);
    };
    say();
    swap(
      slots,
      fields()
        .slice(0, -1)
        .map(field => input(field, `${field} =`, "exactly")),
      input(`${last}.gte`, `${last} from`, "any"),
      input(`${last}.lte`, `${last} to`, "any"),
      h("div.field", null, h("span.label", null, `Sort by ${last}`), order),
    );
  }
  function url(cursor) {
    const entered = Object.entries(inputs).map(([parameter, field]) => [parameter, field.value]),
      last = fields().at(-1);
    page.setQuery({
      index: fields().join(", ") === indexes[0].join(", ") ? null : fields().join(", "),
      desc: isDown ? "1" : null,
      ...Object.fromEntries(entered),
    });
    const query = new URLSearchParams(entered.filter(([, value]) => value));
    query.set("sort", `${isDown ? "-" : ""}${last}`);
    if (cursor) query.set("cursor", cursor);
    return `/projections/${enc(name)}?${query}`;
  }
  async function load() {
    const path = url(),
      missing = fields()
        .slice(0, -1)
        .find(field => !inputs[field].value);
    route.textContent = `GET ${path}`;
    swap(next);
    if (missing)
      return swap(
        out,
        state(
          "empty",
          `Say which ${missing}`,
          `The index [${fields().join(", ")}] is asked for exactly one ${missing}; then ` +
            `it sorts by ${fields().at(-1)}.`,
        ),
      );
    try {
      const answer = await page.get(path);
      items = answer.items;
      draw(answer.next_cursor);
    } catch (e) {
      if (!(e instanceof Problem)) throw e;
      swap(out, problem(e, load));
    }
  }
  function draw(cursor) {
    if (!items.length)
      return swap(
        out,
        state("empty", "No view here", "Views appear when events make them; or loosen the range."),
      );
    const columns = columnsOf(items),
      body = h(
        "tbody",
        null,
        items.map(view => row(name, view, columns)),
      );
    const head = columns.map((column, i) =>
      h(
        "th",
        {
          scope: "col",
          class: classOf(items[0][column], i),
          "aria-sort": fields().at(-1) === column ? (isDown ? "descending" : "ascending") : null,
        },
        column.replaceAll("_", " "),
      ),
    );
    rowKeys(body);
    swap(out, h("table.rows.views", null, h("thead", null, h("tr", null, head)), body));
    const more = h(
      "button.btn",
      {
        onclick: async () => {
          const answer = await page.get(url(cursor));
          items = [...items, ...answer.items];
          draw(answer.next_cursor);
        },
      },
      "Load more",
    );
    swap(
      next,
      cursor && more,
      h("span.muted.small", null, `${num(items.length)} shown${cursor ? "" : ", that is all"}`),
    );
  }
  page.root.append(
    h(
      "form.filters",
      {
        "aria-label": "Query",
        onsubmit: e => {
          e.preventDefault();
          load();
        },
      },
      h("div.field", null, h("label", { for: "q-index" }, "Index"), index),
      slots,
    ),
    h(
      "p.route.small",
      null,
      route,
      copyButton(() => route.textContent, "route"),
    ),
    h("section", { "aria-label": "Views" }, out, next),
  );
  build();
  await load();
  enterRows(page, {
    get firstChild() {
      return out.querySelector("tbody")?.firstChild;
    },
    querySelector: what => out.querySelector(what),
  });
  page.stream(`/projections/${enc(name)}`, {
    event: (kind, data) => {
      if (kind === "reset") return void load();
      const i = items.findIndex(view => keyOf(view) === data.key),
        old = kind === "put" && i >= 0 && out.querySelector(`[data-key="${CSS.escape(data.key)}"]`);
      // A row that a person is on is not taken from under them; nothing moves.
      if (!old || old === document.activeElement) return;
      items[i] = data.view;
      const fresh = row(name, data.view, columnsOf(items));
      fresh.classList.add("fresh");
      fresh.tabIndex = old.tabIndex;
      old.replaceWith(fresh);
    },
  });
}

// A list has views without their keys; by habit a view has it in one of these.
const keyOf = view => view.id ?? view.key;
const columnsOf = items => Object.keys(items[0]).slice(0, COLUMNS_MAX);
const classOf = (value, i) =>
  [isNumber(value) ? "r" : "", isTime(value) ? "p2" : i > 2 ? "p1" : ""].join(" ").trim();

function row(name, view, columns) {
  const key = keyOf(view),
    href = key === undefined ? null : viewHref(name, key);
  const cells = columns.map((column, i) =>
    i
      ? h("td", { class: classOf(view[column], i) }, cell(view[column]))
      : h(
          "th",
          { scope: "row" },
          href ? h("a.mono", { tabindex: "-1", href }, cell(view[column])) : cell(view[column]),
        ),
  );
  return h(
    "tr",
    {
      tabindex: "-1",
      "data-key": key,
      onclick: () => {
        if (href) location.hash = href;
      },
    },
    cells,
  );
}

function cell(value) {
  if (value === null || value === undefined) return zero("none");
  return isTime(value) ? h("span", { title: value }, dayTime(value)) : short(value);
}
