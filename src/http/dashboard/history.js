// The events of an aggregate, as far as they were read: the newest first of all, earlier ones when
// they are asked for. A history may be long, so it is read in pages and never whole.

const PAGE = 100;

export async function historyOf(page, path) {
  const history = { version: 0, first: 1, events: [] };
  const read = (from, limit) => page.get(`${path}/events?from=${from}&limit=${limit}`);

  // What came since; the whole of it is replaced when that is more than a page.
  history.refresh = async () => {
    const { version } = await read(1, 1);
    if (version === history.version) return false;
    // A person may have gone to earlier ones: those stay.
    const isAtEnd = history.first + history.events.length > history.version;
    if (isAtEnd && version - history.version > PAGE) await history.show(version);
    else if (isAtEnd) history.events.push(...(await read(history.version + 1, PAGE)).items);
    history.version = version;
    return true;
  };
  // The page that ends with this version, or has it in its middle.
  history.show = async version => {
    const from = Math.max(1, version - PAGE + 1);
    history.events = (await read(from, PAGE)).items;
    history.first = from;
  };
  history.earlier = async () => {
    const from = Math.max(1, history.first - PAGE);
    history.events.unshift(...(await read(from, history.first - from)).items);
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
