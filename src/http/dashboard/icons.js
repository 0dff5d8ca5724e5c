// The icons: one stroke each, drawn on 16 by 16. One with a label is an image, the rest decoration.

import { s } from "./elements.js";

const PATHS = {
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.7-1.3L14 14",
  check: "m3 8.5 3.5 3.5L13 4.5",
  counts: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM5.5 8.2l1.8 1.8 3.2-3.8",
  void: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM3.8 12.2l8.4-8.4",
  foreign: "M8 1.8 14.2 8 8 14.2 1.8 8Z",
  claim: "M4 14.5V2.5h8.5l-2.2 3 2.2 3H4",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.8V8l2.2 1.4",
  warn: "M8 2.2 14.6 13.6H1.4ZM8 6.4v3.2M8 11.4v.2",
  lock: "M3.5 7.2h9v6.3h-9zM5.3 7V5a2.7 2.7 0 0 1 5.4 0v2",
  copy: "M5.5 5.5h8v8h-8zM3.2 10.5h-.7v-8h8v.7",
  close: "m4 4 8 8m0-8-8 8",
  left: "M10 3.5 5.5 8l4.5 4.5",
  right: "M6 3.5 10.5 8 6 12.5",
  down: "M3.5 6 8 10.5 12.5 6",
  pause: "M5.5 3.5v9m5-9v9",
  play: "M5 3.2 12.5 8 5 12.8Z",
  light:
    "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.6m0 10.8V15M1 8h1.6m10.8 0H15M3 3l1.1 " +
    "1.1m7.8 7.8L13 13M3 13l1.1-1.1m7.8-7.8L13 3",
  dark: "M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z",
  auto: "M2 3h12v8H2zM6 14h4m-2-3v3",
  key: "M5.2 13.2a2.9 2.9 0 1 0 0-5.8 2.9 2.9 0 0 0 0 5.8ZM7.3 8.2 13.5 2m-2.6 2.6 2 2",
  home: "M2.5 7.2 8 2.5l5.5 4.7v6.3h-11z",
  log: "M2 3.5h12M2 8h12M2 12.5h7",
  views: "M2 2.5h5v5H2zm7 0h5v5H9zm-7 7h5v5H2zm7 0h5v5H9z",
  replay: "M2.5 8a5.5 5.5 0 1 0 1.7-4L2.5 5.6m0-3.4v3.4h3.4",
  parked: "M2.5 2.5h11v11h-11zM6.5 11.5v-7h2a2 2 0 0 1 0 4h-2",
  send: "M2 8h11.5M9 3.5 13.5 8 9 12.5",
};

export const icon = (name, label) =>
  s(
    "svg",
    {
      class: `icon i-${name}`,
      viewBox: "0 0 16 16",
      ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }),
    },
    s("path", { d: PATHS[name] }),
  );
