// The keys that work on every page, and the list of all of them.

import { h } from "./elements.js";
import { places } from "./places.js";

const KEYS = [
  ["/", "Search for a write"],
  ["g then h l p r k", "Home, Log, Projections, Replays, Parked"],
  ["j k or ↓ ↑", "Move through rows"],
  ["Enter", "Open the row"],
  ["[ ]", "Aggregate: version before, after"],
  ["Space", "Log: pause or resume"],
  ["Esc", "Close panel or dialog"],
  ["?", "This list"],
];
const PREFIX_MS = 1_200;

export function listenForKeys() {
  let prefixed = 0;
  document.addEventListener("keydown", e => {
    if (
      e.metaKey ||
      e.ctrlKey ||
      e.altKey ||
      e.target.matches("input,select,textarea") ||
      document.querySelector("dialog[open]")
    )
      return;
    if (e.key === "/") toSearch(e);
    if (e.key === "?") help();
    const place = Date.now() - prefixed < PREFIX_MS && places().find(place => place.key === e.key);
    prefixed = e.key === "g" ? Date.now() : 0;
    if (place) {
      location.hash = place.href;
      e.preventDefault();
    }
  });
}

function toSearch(e) {
  const box = document.getElementById("search");
  // On a phone the bar has no room for it.
  if (box?.offsetParent) box.focus();
  else location.hash = "#/";
  e.preventDefault();
}

export function help() {
  if (document.querySelector("dialog[open]")) return;
  const rows = KEYS.map(([key, what]) => [h("dt", null, h("kbd", null, key)), h("dd", null, what)]);
  const el = h(
    "dialog.dialog",
    { "aria-labelledby": "help-title", onclose: () => el.remove() },
    h("h2", { id: "help-title" }, "Keyboard"),
    h("dl.facts.keys", null, rows),
    h("div.actions.end", null, h("button.btn", { onclick: () => el.close() }, "Close")),
  );
  document.body.append(el);
  el.showModal();
}
