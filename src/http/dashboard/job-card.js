// A replay or a verification while it runs, and what came of it.

import { api, Problem } from "./api.js";
import { h, muted, swap } from "./elements.js";
import { bar } from "./graphics.js";
import { icon } from "./icons.js";
import { diff } from "./json.js";
import { rollBack } from "./operations.js";
import { confirm, problem } from "./states.js";
import { findLink, num, span, took, viewHref } from "./values.js";

const RESULTS = {
  done: { icon: "counts", text: "flipped", isGood: true },
  equal: { icon: "counts", text: "equal", isGood: true },
  cancelled: { icon: "close", text: "cancelled", isGood: false },
  failed: { icon: "warn", text: "failed", isGood: false },
  differs: { icon: "warn", text: "views differ", isGood: false },
  running: { icon: "replay", text: "running", isGood: true },
};
export const resultOf = job => RESULTS[job.state];
export const namesOf = job =>
  job.projections.length > 1
    ? `${job.projections.length} projections`
    : (job.projections[0] ?? "none");
// A replay that stopped on a difference waits for a person.
export const isOver = job => job.state !== "running" && !waits(job);
const waits = job => job.kind === "replay" && job.state === "differs";

// `put` takes a job as it has become.
export function jobCard(job, { answer, put }) {
  const path = `/admin/${job.kind}s/${job.id}`,
    what = job.kind === "replay" ? "Replay" : "Verification",
    meter = bar("Records folded");
  const head = h("div.job-head"),
    steps = h("ol.steps"),
    line = h("div.job-line"),
    result = h("div.job-result");
  const el = h(
    "section.job",
    { "aria-label": `${what} of ${namesOf(job)}`, "data-job": job.id },
    head,
    steps,
    meter,
    line,
    result,
  );
  const speed = speedometer();
  const act = async request => {
    try {
      put({ ...(await request), kind: job.kind });
    } catch (e) {
      if (!(e instanceof Problem)) throw e;
      swap(answer, problem(e));
    }
  };
  const cancel = async () => {
    const text =
      job.kind === "replay"
        ? "The half-built generation is dropped. The live one has not been touched and " +
          "goes on serving."
        : "The comparison is thrown away. Nothing changes.";
    if (
      await confirm({
        title: `Cancel the ${what.toLowerCase()} of ${namesOf(job)}?`,
        text,
        action: `Cancel the ${what.toLowerCase()}`,
      })
    )
      await act(api.del(path));
  };
  const flip = async () => {
    const text =
      "Views differ between the two. Queries are answered by the new generation at once; " +
      "the one before is kept for a while, for a rollback.";
    if (
      await confirm({
        title: `Make the new ${namesOf(job)} live?`,
        text,
        action: "Flip",
        danger: false,
      })
    )
      await act(api.post(`${path}/flip`));
  };
  const back = h("button.btn", { onclick: undo }, icon("left"), "Roll back");
  function undo() {
    return rollBack(job.projections[0], answer, () => {
      back.remove();
      swap(result, h("p.muted", null, "Rolled back. The generation before serves again."));
    });
  }

  // Only when it would be another: a button that is drawn anew while it is pressed is not clicked.
  let drawn;
  function drawHead(now) {
    if (drawn === now.state) return;
    drawn = now.state;
    swap(
      head,
      h("h2", null, `${what} of ${namesOf(now)}`),
      h("span.grow"),
      !isOver(now) && h("button.btn", { onclick: cancel }, "Cancel"),
      waits(now) && h("button.btn.primary", { onclick: flip }, "Flip anyway"),
      job.kind === "replay" && now.state === "done" && now.projections.length === 1 && back,
    );
  }
  function set(now) {
    const isRunning = now.state === "running",
      share = now.records_total ? now.records / now.records_total : 0,
      rate = speed(now.records);
    drawHead(now);
    swap(steps, stepsOf(now));
    meter.hidden = line.hidden = !isRunning;
    meter.max = now.records_total || 1;
    meter.value = now.records;
    swap(
      line,
      h("span", null, h("strong", null, `${Math.floor(share * 100)} %`)),
      h("span", null, num(now.records), muted(` of ${num(now.records_total)} records`)),
      h("span", null, num(rate), muted(" records/s")),
      now.compared.views > 0 && h("span", null, num(now.compared.views), muted(" views compared")),
      rate > 0 &&
        share < 1 &&
        h("span", null, span((now.records_total - now.records) / rate), muted(" left")),
    );
    swap(result, !isRunning && outcome(now));
  }
  return { el, set };
}

function stepsOf(job) {
  const names = job.kind === "replay" ? ["Fold", "Compare", "Flip"] : ["Fold", "Compare"];
  const isFolded = job.records_total > 0 && job.records >= job.records_total;
  const reached =
    job.state === "running"
      ? isFolded
        ? 1
        : 0
      : ["done", "equal"].includes(job.state)
        ? names.length
        : job.state === "differs"
          ? 1
          : -1;
  return names.map((name, i) => {
    const isNow = i === reached,
      isRunning = job.state === "running";
    return h(
      "li",
      {
        class: i < reached ? "done" : isNow ? (isRunning ? "now" : "stop") : "",
        "aria-current": isNow && isRunning ? "step" : null,
      },
      icon(i < reached ? "check" : isNow && !isRunning ? "warn" : "clock"),
      name,
    );
  });
}

function outcome(job) {
  const { views, differences, difference, incomplete } = job.compared;
  if (job.state === "cancelled")
    return h(
      "p.muted",
      null,
      job.kind === "replay"
        ? "Cancelled. The live generation was not touched."
        : "Cancelled. Nothing has changed.",
    );
  if (job.state === "failed")
    return h("p", null, icon("warn"), ` It could not go on: ${job.error}`);
  const compared = differences
    ? `${num(differences)} of ${num(views)} views differ. `
    : views
      ? `${num(views)} views compared, all equal. `
      : "No view to compare. ";
  const became =
    job.kind === "verification"
      ? ""
      : job.state === "done"
        ? "The new generation serves. "
        : "Stopped before the flip, as asked; the live generation serves. ";
  return [
    h(
      "p.verdict-line",
      null,
      icon(differences ? "warn" : "counts"),
      h(
        "span",
        null,
        h("strong", null, compared),
        became,
        muted(
          `${num(job.records)} ` +
            `records${job.ended_at ? ` in ${took(job.started_at, job.ended_at)}` : ""}.`,
        ),
        incomplete && ` ${incomplete}.`,
      ),
    ),
    difference && firstDifference(difference),
  ];
}

const firstDifference = d =>
  h(
    "div.first-diff",
    null,
    h(
      "p",
      null,
      "First difference: ",
      h("a.mono", { href: viewHref(d.projection, d.key) }, `${d.projection}/${d.key}`),
      " at ",
      findLink(d.position),
    ),
    diff(d.live ?? undefined, d.log, "Live against the log"),
    h("p.muted.small", null, "− live   + what the log makes of it"),
  );

// Records per second over the last moments.
function speedometer() {
  const seen = [];
  return records => {
    seen.push([performance.now(), records]);
    while (seen.length > 20) seen.shift();
    const [[from, first], [to, last]] = [seen[0], seen.at(-1)];
    return to - from < 200 ? 0 : Math.round(((last - first) / (to - from)) * 1000);
  };
}
