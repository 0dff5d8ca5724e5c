// An event in a timeline.

import { h } from "./elements.js";
import { inline } from "./json.js";
import { shortTime } from "./values.js";

export const timelineRow = event => [
  h("span.v", null, event.version),
  h("span.what", null, h("strong", null, event.type), h("span.data", null, inline(event.data))),
  h("span.when", { title: event.time }, shortTime(event.time)),
  h("span.mono.pos", null, event.position),
];
