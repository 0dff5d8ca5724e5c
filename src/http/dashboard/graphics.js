// Small graphics that carry a number.

import { s, h } from "./elements.js";
import { span } from "./values.js";

const SAMPLE_S = 5,
  SAMPLES = 60;

// Lag of the last minutes. `top` is shared by all rows of a table, so that heights compare.
export function sparkline() {
  const line = s("path", { class: "spark-line" }),
    area = s("path", { class: "spark-area" }),
    base = s("path", { class: "spark-base", d: "M0 19.5H120" });
  const el = s(
    "svg",
    { class: "spark", viewBox: "0 0 120 20", preserveAspectRatio: "none", role: "img" },
    base,
    area,
    line,
  );
  function set(values, top) {
    if (!values.length) return el.setAttribute("aria-label", "Lag: no sample yet");
    // The newest is at the right; what was before the process started is left out.
    const x = i => (120 - ((values.length - 1 - i) / (SAMPLES - 1)) * 120).toFixed(1);
    const y = value => (19 - Math.min(1, value / top) * 17).toFixed(1);
    const points = values.map((value, i) => `${x(i)} ${y(value)}`).join("L"),
      most = Math.max(...values);
    line.setAttribute("d", `M${points}`);
    area.setAttribute("d", `M${x(0)} 19L${points}L120 19Z`);
    el.classList.toggle("quiet", most < 10);
    el.setAttribute(
      "aria-label",
      `Lag over ${span(values.length * SAMPLE_S)}: now ${values.at(-1)}, at most ${most} records`,
    );
  }
  return { el, set };
}

// Where a checkpoint stands against the write, on a log scale: the tick is the write, the line is
// what was read.
export function track(distance) {
  const reach = Math.sign(distance) * Math.min(1, Math.log10(1 + Math.abs(distance)) / 4),
    x = (60 + reach * 56).toFixed(1);
  return s(
    "svg",
    {
      class: `track ${distance > 0 ? "past" : "short"}`,
      viewBox: "0 0 120 14",
      "aria-hidden": "true",
    },
    s("path", { class: "track-base", d: "M0 7H120" }),
    s("path", { class: "track-read", d: `M0 7H${x}` }),
    s("path", { class: "track-write", d: "M60 1V13" }),
  );
}

export const bar = label => h("progress.bar", { max: 1, value: 0, "aria-label": label });
