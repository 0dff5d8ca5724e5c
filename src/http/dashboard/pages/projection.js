// One projection: how it stands, and its views as a list or by key.

import { session } from "../api.js";
import { h } from "../elements.js";
import { icon } from "../icons.js";
import { operations } from "../operations.js";
import { state } from "../states.js";
import { enc, num, span, viewHref } from "../values.js";
import { viewList } from "../view-list.js";

export default async function projection(page) {
  const [name] = page.params;
  page.title(name);
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
  const answer = h("div", { "aria-live": "polite" });
  page.root.append(
    h(
      "header.page-head",
      null,
      h(
        "div",
        null,
        h("p.crumb", null, h("a", { href: "#/projections" }, "Projections")),
        h("h1", null, name),
        h(
          "p.muted",
          null,
          `revision ${x.revision} · generation `,
          h("span.mono.small", null, x.generation ?? "none yet"),
          ` · ${x.state.replaceAll("_", " ")} · lag ${num(x.lag)}`,
          x.lag_seconds >= 1 && `, ${span(x.lag_seconds)}`,
          x.parked > 0 && [
            " · ",
            h("a.warn", { href: `#/parked?projection=${enc(name)}` }, `${x.parked} parked`),
          ],
        ),
      ),
      session.can("admin") &&
        h(
          "div.actions",
          null,
          operations(x, answer),
          h("a.btn", { href: `#/replays?projection=${enc(name)}` }, icon("replay"), "Replay"),
        ),
    ),
    answer,
  );
  if (x.keyed_by === "records")
    return page.root.append(
      state(
        "empty",
        "This one has no list",
        "It is Retell's own: histories and causation trees are read through their own pages.",
      ),
    );
  page.root.append(byKey(name));
  if (x.keyed_by !== "merged") await viewList(page, x);
}

function byKey(name) {
  const key = h("input", {
    id: "q-key",
    type: "text",
    placeholder: "the key of a view",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    maxlength: 200,
  });
  const open = e => {
    e.preventDefault();
    location.hash = viewHref(name, key.value.trim());
  };
  return h(
    "form.filters",
    { "aria-label": "One view", onsubmit: open },
    h("div.field.grow", null, h("label", { for: "q-key" }, "Key"), key),
    h("button.btn", { type: "submit" }, "Open the view"),
  );
}
