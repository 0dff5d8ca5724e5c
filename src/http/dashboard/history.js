// The events of an aggregate, as far as they were read: the newest first of all, earlier ones when
// they are asked for. A history may be long, so it is read in pages and never whole.

const PAGE = 100;

// The events of two versions and those between. The service may give fewer at once: by its
// settings, or because they are long.
export async function eventsOf(page, path, from, to) {
  const events = [];
  while (from + events.length <= to) {
    const { items, next_cursor } = await page.get(`${path}/events?from=${from + events.length}`);
    events.push(...items);
    if (next_cursor === null || !items.length) break;
  }
  return events.slice(0, to - from + 1);
}

export const versionOf = async (page, path) =>
  (await page.get(`${path}/events?limit=1`)).version;

export async function historyOf(page, path) {
  const history = { version: 0, first: 1, events: [] };
  const read = (from, to) => eventsOf(page, path, from, to);

  // What came since; the whole of it is replaced when that is more than a page.
  history.refresh = async () => {
    const version = await versionOf(page, path);
    if (version === history.version) return false;
    // A person may have gone to earlier ones: those stay.
    const isAtEnd = history.first + history.events.length > history.version;
    if (isAtEnd && version - history.version > PAGE) await history.show(version);
    else if (isAtEnd) history.events.push(...(await read(history.version + 1, version)));
    history.version = version;
    return true;
  };
  // The page that ends with this version, or has it in its middle.
  history.show = async version => {
    const from = Math.max(1, version - PAGE + 1);
    history.events = await read(from, version);
    history.first = from;
  };
  history.earlier = async () => {
    const from = Math.max(1, history.first - PAGE);
    history.events.unshift(...(await read(from, history.first - 1)));
    history.first = from;
  };
  history.has = version =>
    version >= history.first && version < history.first + history.events.length;
  history.get = version => history.events[version - history.first];

  await history.refresh().catch(e => {
    if (e.code !== "aggregate_not_found") throw e;
  });
  return history;
}
