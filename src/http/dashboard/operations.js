// What an operator may do to a projection: pause, resume, roll back. Each asks first.

import { api } from "./api.js";
import { h, swap } from "./elements.js";
import { icon } from "./icons.js";
import { confirm, problem, toast } from "./states.js";
import { enc } from "./values.js";

const again = () => dispatchEvent(new HashChangeEvent("hashchange"));

export function operations({ name, paused }, answer) {
  const act = async (verb, said) => {
    try {
      await api.post(`/admin/projections/${enc(name)}/${verb}`);
      toast(said);
      again();
    } catch (e) {
      if (e.status === undefined) throw e;
      swap(answer, problem(e));
    }
  };
  const pause = async () => {
    const question = {
      title: `Pause ${name}?`,
      text:
        "Queries keep answering from where it stops, on every node, also after a restart. " +
        "Those that wait for a later position get 503 behind.",
      action: "Pause",
      danger: false,
    };
    if (await confirm(question)) await act("pause", `${name} is paused`);
  };
  const resume = () => act("resume", `${name} follows again`);
  return [
    h(
      "button.btn",
      { onclick: paused ? resume : pause },
      icon(paused ? "play" : "pause"),
      paused ? "Resume" : "Pause",
    ),
    h("button.btn", { onclick: () => rollBack(name, answer, again) }, icon("left"), "Roll back"),
  ];
}

export async function rollBack(name, answer, done) {
  const question = {
    title: `Roll ${name} back?`,
    text: [
      "Queries are answered by the generation before at once. It has kept following, so " +
        "nothing is lost.",
      "The generation that is live now is dropped.",
    ],
    action: "Roll back",
  };
  if (!(await confirm(question))) return;
  try {
    await api.post(`/admin/projections/${enc(name)}/rollback`);
    toast(`${name} is rolled back`);
    done();
  } catch (e) {
    if (e.status === undefined) throw e;
    swap(answer, problem(e));
  }
}
