// The top bar: places, search, theme, who is signed in.

import { session } from "./api.js";
import { h, swap } from "./elements.js";
import { icon } from "./icons.js";
import { help } from "./keys.js";
import { placeOf, places } from "./places.js";
import { announce } from "./states.js";
import { enc } from "./values.js";

const THEMES = ["auto", "light", "dark"];
const top = document.getElementById("top");
let drawn;

// Drawn anew only when it would be another: what has the focus keeps it.
export function drawBar(path) {
  const state = JSON.stringify([path, session.roles, session.name]);
  if (state === drawn) return;
  drawn = state;
  const hasBox = path === "/" || path === "/find",
    here = placeOf(path);
  const links = places().map(({ name, text, href }) =>
    h(
      "a",
      { href, "aria-current": name === here ? "page" : null },
      icon(name),
      h("span", null, text),
    ),
  );
  swap(
    top,
    h(
      "a.brand",
      { href: "#/", "aria-label": "Retell, home" },
      h(
        "span.logo",
        { "aria-hidden": "true" },
        Array.from({ length: 6 }, () => h("i")),
      ),
      "Retell",
    ),
    h("nav", { "aria-label": "Main" }, links),
    h("span.grow"),
    !hasBox && search(),
    !hasBox &&
      h(
        "a.btn.icon-only.quiet.narrow",
        { href: "#/", "aria-label": "Search: where is my write?" },
        icon("search"),
      ),
    h(
      "button.btn.icon-only.quiet.wide",
      { "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts", onclick: help },
      h("span.q", { "aria-hidden": "true" }, "?"),
    ),
    themeButton(),
    who(),
  );
}

function search() {
  const input = h("input", {
    id: "search",
    name: "q",
    type: "search",
    "aria-label": "Where is my write? Command id, position, aggregate or correlation id",
    placeholder: "Where is my write?",
    autocomplete: "off",
    spellcheck: "false",
  });
  const go = e => {
    e.preventDefault();
    const q = input.value.trim();
    if (q) location.hash = `#/find?q=${enc(q)}`;
  };
  return h(
    "form.top-search",
    { role: "search", onsubmit: go },
    icon("search"),
    input,
    h("kbd", { "aria-hidden": "true" }, "/"),
  );
}

function who() {
  const name = session.name ?? "sign in";
  return h(
    "a.btn.quiet.who",
    { href: "#/sign-in", title: "Key and roles" },
    icon("key"),
    h("span", null, name),
  );
}

const themeNow = () => document.documentElement.dataset.theme ?? "auto";

function themeButton() {
  const name = themeNow();
  return h(
    "button.btn.icon-only.quiet",
    { "aria-label": `Theme: ${name}. Change`, title: `Theme: ${name}`, onclick: nextTheme },
    icon(name),
  );
}

function nextTheme(e) {
  const next = THEMES[(THEMES.indexOf(themeNow()) + 1) % THEMES.length],
    root = document.documentElement;
  if (next === "auto") delete root.dataset.theme;
  else root.dataset.theme = next;
  try {
    if (next === "auto") localStorage.removeItem("retell.theme");
    else localStorage.setItem("retell.theme", next);
  } catch {
    /* until the tab is closed */
  }
  const button = themeButton();
  e.currentTarget.replaceWith(button);
  button.focus();
  announce(`Theme: ${next}`);
}
