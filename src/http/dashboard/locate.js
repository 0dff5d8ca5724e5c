// Finds what a person looks for: `{ record, others }`, `{ related }` of a correlation, or
// `{ nothing, … }` with what is known about it.

import { Problem } from "./api.js";
import { recordAt } from "./records.js";
import { aggregateOf, enc, parsePosition } from "./values.js";

// Attempts of one command are close to each other.
const NEAR_RECORDS = 500;
// An id of the service has the time of its command; the record came soon after it, by a clock that
// may be another.
const SLACK_MS = 10_000;
const AT_ONCE = 4;

export async function locate(page, q, kind) {
  if (kind === "position") return byPosition(page, q);
  if (kind === "aggregate") return byAggregate(page, q);
  if (kind === "key") return byKey(page, q);
  return (await byCommand(page, q, kind)) ?? { nothing: "id" };
}

async function byPosition(page, q) {
  const record = await recordAt(page, q);
  return record ? { record, others: await attempts(page, record) } : { nothing: "position" };
}

async function byAggregate(page, q) {
  const of = aggregateOf(q);
  try {
    const aggregate = await page.get(`/aggregates/${enc(of.type)}/${enc(of.id)}`);
    const record = await recordAt(page, aggregate.position);
    return { record, aggregate, others: await attempts(page, record) };
  } catch (e) {
    if (e.code !== "aggregate_not_found") throw e;
    return { nothing: "aggregate", of };
  }
}

// `account/ann/KEY`: the command's outcome says where it was decided.
async function byKey(page, q) {
  const { type, id: rest } = aggregateOf(q),
    at = rest.indexOf("/"),
    [id, key] = [rest.slice(0, at), rest.slice(at + 1)];
  let position;
  try {
    ({ position } = await page.get(`/commands/${enc(type)}/${enc(id)}/${enc(key)}`));
  } catch (e) {
    if (e.code === "not_committed") return { nothing: "key", of: { type, id } };
    if (!(e instanceof Problem) || !e.position) throw e;
    position = e.position; // of the state on which it was refused
  }
  const { partition, offset } = parsePosition(position);
  const found = await page.get(
    `/events?partition=${partition}&from=${Math.max(0, offset - NEAR_RECORDS)}&command=${enc(key)}`,
  );
  return (
    best(found.items.filter(r => r.aggregate?.type === type && r.aggregate.id === id)) ??
    byPosition(page, position)
  );
}

async function byCommand(page, q, kind) {
  if (kind !== "correlation") {
    const traced = (await page.get(`/events?command=${enc(q)}`)).items;
    const found = best(traced.length ? traced : await sinceItsTime(page, q));
    if (found) return found;
  }
  const { items, more } = await page.get(`/events?correlation=${enc(q)}`);
  return items.length ? { related: items, more } : null;
}

// An id that the service gave begins with a time: each partition is read from there on.
async function sinceItsTime(page, q) {
  const time = timeOf(q);
  if (!time) return [];
  const from = enc(new Date(time - SLACK_MS).toISOString()),
    found = [];
  const { items } = await page.get("/projections"),
    partitions = Math.max(0, ...items.map(x => x.partitions.length));
  const waiting = Array.from({ length: partitions }, (_, partition) => partition);
  const look = async () => {
    for (let partition; (partition = waiting.pop()) !== undefined && !found.length;) {
      const path = `/events?partition=${partition}&from=${from}&command=${enc(q)}`;
      found.push(...(await page.get(path)).items);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, look));
  return found;
}

// The milliseconds of a UUIDv7, where an id has one.
function timeOf(q) {
  const found = /^cmd:([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/.exec(q);
  return found && Number.parseInt(found[1] + found[2], 16);
}

// Other records of the same command: a first attempt that is void, or the one that counts.
async function attempts(page, record) {
  if (!record?.command_id) return [];
  const { partition, offset } = parsePosition(record.position),
    from = Math.max(0, offset - NEAR_RECORDS);
  const { items } = await page.get(
    `/events?partition=${partition}&from=${from}&command=${enc(record.command_id)}`,
  );
  return items.filter(
    other => other.position !== record.position && other.aggregate?.id === record.aggregate.id,
  );
}

function best(items) {
  if (!items.length) return null;
  const record = items.find(r => r.mark === "counts") ?? items.at(-1);
  return { record, others: items.filter(other => other !== record) };
}
