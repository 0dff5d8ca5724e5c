// A command for any aggregate, also one that does not exist yet.

import { session } from "../api.js";
import { commandForm } from "../command-form.js";
import { aggregateTypes } from "../commands.js";
import { h, swap } from "../elements.js";

export default async function send(page) {
  page.title("Send a command");
  const types = (await aggregateTypes()).filter(name => session.can("write", name));
  const type = h(
    "select",
    { id: "s-type", onchange: draw },
    types.map(name => h("option", { value: name }, name)),
  );
  const id = h("input", {
    id: "s-id",
    type: "text",
    value: page.query.get("id") ?? "",
    placeholder: "ann",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 200,
    onchange: draw,
    "data-autofocus": true,
  });
  if (types.includes(page.query.get("type"))) type.value = page.query.get("type");
  const form = h("div");
  async function draw() {
    const to = { type: type.value, id: id.value.trim() };
    page.setQuery(to);
    swap(
      form,
      to.id
        ? (await commandForm({ to })).el
        : h("p.muted.note", null, "Say which one it is for; it need not exist yet."),
    );
  }
  page.root.append(
    h(
      "header.page-head",
      null,
      h(
        "div",
        null,
        h("h1", null, "Send a command"),
        h("p.muted", null, "To an aggregate, by its type and its id."),
      ),
    ),
    h(
      "form.filters",
      { "aria-label": "Aggregate", onsubmit: e => e.preventDefault() },
      h("div.field", null, h("label", { for: "s-type" }, "Type"), type),
      h("div.field.grow", null, h("label", { for: "s-id" }, "Id"), id),
    ),
    form,
  );
  await draw();
}
