// Asks for a key or token; says what the current one may do.

import { session } from "../api.js";
import { h, zero } from "../elements.js";
import { icon } from "../icons.js";
import { show } from "../app.js";

const ALLOWS = {
  read: "views and progress",
  audit: "aggregates, events, the log",
  write: "commands",
  admin: "status, replays, parked, pause",
};

export default async function signIn(page) {
  page.title("Sign in");
  page.root.classList.add("p-sign-in");
  const isOwnPage = page.path === "/sign-in";
  const error = h("p.field-error", { role: "alert", id: "s-error" });
  const input = h("input", {
    id: "s-key",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "s-hint s-error",
    "data-autofocus": true,
  });
  const eye = h(
    "button.btn",
    {
      "aria-pressed": "false",
      onclick: () => {
        const isShown = input.type === "password";
        input.type = isShown ? "text" : "password";
        eye.setAttribute("aria-pressed", String(isShown));
        eye.textContent = isShown ? "Hide" : "Show";
      },
    },
    "Show",
  );

  async function submit(e) {
    e.preventDefault();
    session.signIn(input.value.trim());
    try {
      await session.load(page.signal);
    } catch (e) {
      if (e.status === 401) {
        session.signOut();
        error.textContent = "The service does not know this key.";
        return input.focus();
      }
      if (e.status !== 404) throw e;
    }
    if (isOwnPage) location.hash = "#/";
    else show();
  }

  page.root.append(
    h(
      "div.sign-in",
      null,
      h("h1", null, "Key or token"),
      h("p.muted", null, "The roles of the key decide what is shown here."),
      h(
        "form",
        { onsubmit: submit },
        h(
          "div.field",
          null,
          h("label", { for: "s-key" }, "API key or JWT"),
          h("div.with-button", null, input, eye),
          h(
            "p.hint",
            { id: "s-hint" },
            "Kept in this tab until it closes, sent only to this service. No cookies.",
          ),
          error,
        ),
        h("div.actions", null, h("button.btn.primary", { type: "submit" }, "Continue")),
      ),
      (session.token || session.roles) && roles(),
    ),
  );
}

// Such as `write:account`: of one aggregate type or projection only.
function ofSome(role) {
  const some = session.roles?.filter(one => one.startsWith(`${role}:`)) ?? [];
  return some.length ? [icon("check"), some.map(one => one.split(":")[1]).join(", ")] : null;
}

function roles() {
  const forget = () => {
    session.signOut();
    if (location.hash === "#/") show();
    else location.hash = "#/";
  };
  const rows = Object.entries(ALLOWS).map(([role, what]) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, role),
      h(
        "td",
        { class: `has ${session.canSome(role) ? "yes" : ""}` },
        session.can(role) ? [icon("check"), "yes"] : (ofSome(role) ?? zero("no")),
      ),
      h("td.muted.wrap", null, what),
    ),
  );
  return h(
    "section.roles",
    { "aria-labelledby": "h-roles" },
    h(
      "h2",
      { id: "h-roles" },
      session.token ? `${session.name ?? "This key"} may` : "Without a key",
    ),
    h("table", null, h("tbody", null, rows)),
    session.token &&
      h("div.actions", null, h("button.btn", { onclick: forget }, "Forget this key")),
  );
}
