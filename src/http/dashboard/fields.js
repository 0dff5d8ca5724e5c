// One field of a form for each property of a JSON Schema, and the JSON text of what was entered.

import { resolved } from "./commands.js";
import { h } from "./elements.js";

// `{ el, name, literal }`: literal() is null when nothing was entered.
export function fieldOf(name, declared, isRequired, oninput) {
  const schema = withoutNull(resolved(declared)),
    { control, literal } = controlOf(name, schema, isRequired, oninput);
  const hint = declared.description ?? schema.description;
  if (hint) control.setAttribute("aria-describedby", `d-${name}`);
  const el = h(
    "div.field",
    null,
    h("label", { for: control.id }, name, !isRequired && h("span.muted", null, " optional")),
    control,
    hint && h("p.hint", { id: `d-${name}` }, hint),
  );
  return { el, name, control, literal };
}

function controlOf(name, schema, required, oninput) {
  const props = {
    id: `f-${name}`,
    name,
    required,
    oninput,
    autocomplete: "off",
    spellcheck: "false",
  };
  const choices =
    schema.enum ?? schema.oneOf?.map(one => one.const).filter(one => one !== undefined);
  if (choices?.length) return choice(props, choices);
  if (schema.type === "boolean") return choice(props, [true, false]);
  if (schema.type === "integer") return number(props, schema, 1);
  if (schema.type === "number") return number(props, schema, "any");
  if (schema.type === "string") return text(props, schema);
  return tree(props, schema);
}

function choice(props, choices) {
  const control = h(
    "select",
    props,
    !props.required && h("option", { value: "" }, "none"),
    choices.map(one => h("option", { value: JSON.stringify(one) }, String(one))),
  );
  return { control, literal: () => control.value || null };
}

// The digits go into the JSON as they were typed: a number of JavaScript would round large ones.
function number(props, { minimum, maximum }, step) {
  const control = h("input", {
    ...props,
    type: "number",
    inputmode: step === 1 ? "numeric" : "decimal",
    min: minimum,
    max: maximum,
    step,
  });
  return { control, literal: () => (control.value === "" ? null : control.value) };
}

function text(props, { minLength, maxLength }) {
  const control = h("input", {
    ...props,
    type: "text",
    minlength: minLength,
    maxlength: maxLength,
  });
  return {
    control,
    literal: () => (control.value === "" && !props.required ? null : JSON.stringify(control.value)),
  };
}

// Objects and lists are entered as JSON.
function tree(props, schema) {
  const control = h("textarea", {
    ...props,
    rows: 4,
    placeholder: schema.type === "array" ? "[]" : "{}",
  });
  control.addEventListener("input", () =>
    control.setCustomValidity(isJson(control.value) ? "" : "This is no JSON."),
  );
  return { control, literal: () => control.value.trim() || null };
}

function isJson(text) {
  if (!text.trim()) return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

// Optional fields are declared as `X or null`.
function withoutNull(schema) {
  if (Array.isArray(schema.type))
    return { ...schema, type: schema.type.find(type => type !== "null") };
  const others = schema.anyOf?.filter(one => one.type !== "null");
  return others?.length === 1 ? { ...schema, ...resolved(others[0]) } : schema;
}
