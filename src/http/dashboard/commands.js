// Which commands there are, and what each is made of, as /openapi.json says.

import { api } from "./api.js";

let document;

const load = async () => (document ??= await api.get("/openapi.json"));

// The aggregate types that take commands, in the order of the document.
export async function aggregateTypes() {
  const { paths } = await load();
  return Object.keys(paths)
    .map(path => /^\/commands\/([^/{]+)\/\{[^/]+\}$/.exec(path)?.[1])
    .filter(Boolean);
}

// Each command of a type: its name, and the JSON Schema of what else it has.
export async function commandsOf(type) {
  const { paths } = await load();
  const body = paths[`/commands/${type}/{id}`]?.post.requestBody.content["application/json"].schema;
  const all = body ? alternatives(body) : [];
  return all.map(schema => ({ name: nameOf(schema), schema })).filter(command => command.name);
}

// What a `$ref` stands for.
export function resolved(schema) {
  const path = schema?.$ref
    ?.split("/")
    .slice(1)
    .map(part => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"));
  if (!path) return schema ?? {};
  const { $ref, ...beside } = schema;
  return { ...resolved(path.reduce((at, part) => at?.[part], document)), ...beside };
}

function alternatives(schema) {
  const { oneOf, anyOf, ...one } = resolved(schema);
  return (oneOf ?? anyOf)?.flatMap(alternatives) ?? [one];
}

function nameOf(schema) {
  const type = resolved(schema.properties?.type);
  return type.const ?? type.enum?.[0];
}
