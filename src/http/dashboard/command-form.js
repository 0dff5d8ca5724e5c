// A form for any command, made from its JSON Schema; beside it the curl that does the same.

import { api, session, urlOf } from "./api.js";
import { commandsOf } from "./commands.js";
import { h, swap } from "./elements.js";
import { fieldOf } from "./fields.js";
import { icon } from "./icons.js";
import { problem, state, toast } from "./states.js";
import { copyButton, enc, findLink, id as idOf } from "./values.js";

const MAKE_SAFE_HINT = "The same key on the same target gives the first answer again, for 24 h.";

// `to` is the aggregate, `version()` the one that the page shows, `onDone` gets the answer.
export async function commandForm({ to, command, values = {}, version = () => null, onDone }) {
  const commands = await commandsOf(to.type);
  if (!commands.length)
    return {
      el: state(
        "empty",
        "No command",
        `There is no aggregate type ${to.type} here that takes commands.`,
      ),
      draw() {},
    };
  const path = `/commands/${enc(to.type)}/${enc(to.id)}`;
  let chosen = commands.find(c => c.name === command) ?? commands[0],
    fields = [];

  const slots = h("div.fields"),
    curl = h("code"),
    answer = h("div.answer", { "aria-live": "polite" });
  const key = h("input", {
    id: "f-key",
    type: "text",
    maxlength: 255,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "none",
    oninput: draw,
  });
  const guard = h("input", { id: "f-guard", type: "checkbox", onchange: draw });
  const send = h("button.btn.primary", { type: "submit" }, "Send command");

  const body = () =>
    `{${[["type", JSON.stringify(chosen.name)], ...fields.map(f => [f.name, f.literal()])]
      .filter(([, literal]) => literal !== null)
      .map(([name, literal]) => `${JSON.stringify(name)}:${literal}`)
      .join(",")}}`;
  const headers = () => ({
    ...(key.value ? { "Idempotency-Key": key.value } : {}),
    ...(guard.checked && version() !== null ? { "If-Match": `"${version()}"` } : {}),
  });

  function draw() {
    curl.textContent = curlOf(urlOf(path), headers(), body());
  }

  function choose(next) {
    chosen = next;
    const { properties = {}, required = [], description } = chosen.schema;
    const own = Object.entries(properties).filter(([name]) => name !== "type");
    fields = own.map(([name, schema]) => fieldOf(name, schema, required.includes(name), draw));
    for (const { name, control } of fields)
      if (values[name] !== undefined) control.value = values[name];
    swap(
      slots,
      description && h("p.muted", null, description),
      fields.map(field => field.el),
    );
    draw();
  }

  async function submit(e) {
    e.preventDefault();
    if (send.getAttribute("aria-disabled")) return;
    send.setAttribute("aria-disabled", "true");
    try {
      const done = await api.post(path, body(), { headers: headers() });
      swap(answer, sent(done));
      toast(`Landed at ${done.position}`);
      onDone?.(done);
    } catch (e) {
      if (e.status === undefined) throw e;
      swap(answer, problem(e));
    } finally {
      send.removeAttribute("aria-disabled");
    }
  }

  const radio = one =>
    h(
      "label.seg",
      null,
      h("input", {
        type: "radio",
        name: "command",
        value: one.name,
        checked: one === chosen,
        onchange: () => choose(one),
      }),
      h("span", null, one.name),
    );
  const safely = h(
    "details",
    null,
    h("summary", null, "Make it safe to repeat"),
    h(
      "div.field",
      null,
      h("label", { for: "f-key" }, "Idempotency-Key"),
      key,
      h("p.hint", null, MAKE_SAFE_HINT),
    ),
    h(
      "label.check",
      null,
      guard,
      h("span", null, "Only if the version is still the one shown (If-Match)"),
    ),
  );
  const el = h(
    "div.command",
    null,
    h(
      "form",
      { onsubmit: submit },
      h(
        "fieldset",
        null,
        h("legend.sr", null, "Command"),
        h("div.segs", null, commands.map(radio)),
      ),
      slots,
      safely,
      h("div.actions", null, send),
    ),
    h(
      "div.curl",
      null,
      h(
        "div.curl-head",
        null,
        h("span.muted.small", null, "The same with curl"),
        copyButton(() => curl.textContent, "curl"),
      ),
      h("pre", { tabindex: "0", role: "group", "aria-label": "curl" }, curl),
    ),
    answer,
  );
  choose(chosen);
  return { el, draw };
}

function sent(done) {
  const what = done.events.length
    ? `${done.events.map(e => e.type).join(", ")}. `
    : "Nothing to do. ";
  return h(
    "p.sent",
    null,
    icon("counts"),
    h(
      "span",
      null,
      h("strong", null, what),
      "Version ",
      done.version,
      " at ",
      findLink(done.position),
      ", command ",
      idOf(done.command_id),
    ),
  );
}

function curlOf(url, headers, body) {
  const quote = text => `'${text.replaceAll("'", `'\\''`)}'`;
  const own = Object.entries(headers).map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`);
  const token = session.token ? ['-H "Authorization: Bearer $RETELL_TOKEN"'] : [];
  return [
    `curl -X POST ${quote(url)}`,
    ...token,
    "-H 'Content-Type: application/json'",
    ...own,
    `-d ${quote(body)}`,
  ].join(" \\\n  ");
}
