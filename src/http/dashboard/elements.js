// Makes elements from values, never from HTML text: nothing in the log can become markup.
// `h("p.muted.small", { title }, "text")` names the classes with the tag.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split("."),
    el = document.createElement(name);
  if (classes.length) el.className = classes.join(" ");
  if (name === "button") el.type = "button";
  return fill(el, props, children);
}

export const s = (tag, props, ...children) =>
  fill(document.createElementNS(SVG, tag), props, children);

export function swap(el, ...children) {
  el.replaceChildren(...shown(children));
  return el;
}

export const col = (text, name = null) => h("th", { scope: "col", class: name }, text);
export const heading = (id, title, ...rest) =>
  h("div.section-head", null, h("h2", { id }, title), rest);
export const muted = (...children) => h("span.muted", null, ...children);
export const mono = (...children) => h("span.mono", null, ...children);
export const zero = text => h("span.zero", null, text);

// Names and values; a third makes the value one that can be copied.
export const facts = (rows, copy) =>
  h(
    "dl.facts",
    null,
    rows
      .filter(Boolean)
      .map(([name, value, text]) => [
        h("dt", null, name),
        h("dd", null, h("span.fact", null, value), text && copy(text, name.toLowerCase())),
      ]),
  );

// These are what a person can change, so they are set as properties.
const PROPERTIES = ["value", "checked", "disabled"];

function fill(el, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) el.addEventListener(key.slice(2), value);
    else if (PROPERTIES.includes(key)) el[key] = value;
    else el.setAttribute(key, value === true ? "" : value);
  }
  el.append(...shown(children));
  return el;
}

const shown = children =>
  children.flat(9).filter(c => c !== null && c !== undefined && c !== false);
