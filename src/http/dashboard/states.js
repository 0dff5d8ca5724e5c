// What a page shows instead of data: empty, loading, failed; and what is said beside it.

import { h } from "./elements.js";
import { icon } from "./icons.js";

const ICONS = {
  empty: "log",
  missing: "search",
  error: "warn",
  behind: "clock",
  forbidden: "lock",
};

export const state = (kind, title, detail, ...actions) =>
  h(
    "div",
    { class: `state ${kind}`, role: kind === "error" ? "alert" : null },
    icon(ICONS[kind]),
    h(
      "div",
      null,
      h("p.state-title", null, title),
      detail && h("p.muted", null, detail),
      actions.length > 0 && h("div.actions", null, actions),
    ),
  );

export const loading = () =>
  h(
    "div.loading",
    { "aria-busy": "true" },
    h("span.sr", null, "Loading"),
    [70, 92, 84, 60].map(width => h("span", { class: `bone w${width}` })),
  );

// What went wrong, as the problem document says it, and what to do.
export function problem(e, retry) {
  const kind =
    e.status === 403
      ? "forbidden"
      : e.status === 404
        ? "missing"
        : e.code === "behind"
          ? "behind"
          : "error";
  const again = retry && h("button.btn", { onclick: () => retry() }, "Try again");
  if (again && e.retry_after_s) waitFor(again, e.retry_after_s, retry);
  const action =
    kind === "forbidden" ? h("a.btn", { href: "#/sign-in" }, "Use another key") : again;
  const source =
    e.code &&
    h(
      "span.muted.small",
      null,
      h("span.mono", null, `${e.status || ""} ${e.code}`.trim()),
      e.instance && [" · request ", h("span.mono", null, e.instance)],
    );
  return state(
    kind,
    e.title ?? "The dashboard failed",
    e.detail ?? String(e.message ?? e),
    action,
    source,
  );
}

// Retry-After: the button counts down and then presses itself, unless the page was left.
function waitFor(button, seconds, act) {
  button.textContent = seconds > 0 ? `Try again, or wait ${seconds} s` : "Trying again";
  setTimeout(() => {
    if (!button.isConnected) return;
    if (seconds > 0) waitFor(button, seconds - 1, act);
    else act();
  }, 1000);
}

export function toast(text) {
  const el = h("p.toast", null, text);
  document.getElementById("toasts").append(el);
  setTimeout(() => el.remove(), 4000);
}

export const announce = text => {
  document.getElementById("announce").textContent = text;
};

// Asks before anything that cannot be taken back. Resolves to true or false; the safe button has
// the focus.
export function confirm({ title, text, action, danger = true }) {
  return new Promise(done => {
    const answer = yes => {
      el.close();
      el.remove();
      done(yes);
    };
    const el = h(
      "dialog.dialog",
      {
        "aria-labelledby": "dialog-title",
        oncancel: e => {
          e.preventDefault();
          answer(false);
        },
      },
      h("h2", { id: "dialog-title" }, title),
      [].concat(text).map(t => h("p", null, t)),
      h(
        "div.actions.end",
        null,
        h("button.btn", { autofocus: true, onclick: () => answer(false) }, "Keep as it is"),
        h(
          "button",
          { class: `btn ${danger ? "danger" : "primary"}`, onclick: () => answer(true) },
          action,
        ),
      ),
    );
    document.body.append(el);
    el.showModal();
  });
}
