// Records of the log from its end backwards. The service reads forwards only, so each partition is
// read in windows that end where the one before began.

const SHOWN = 120,
  AT_ONCE = 4,
  GROWTH = 4;

export class LogPages {
  // `ends`: of each partition, the offset at which to begin; records from there on are not here.
  constructor(page, filters, ends) {
    Object.assign(this, { page, filters, ends: new Map(ends) });
    this.window = Math.max(10, Math.ceil(SHOWN / this.ends.size));
  }

  get hasMore() {
    return [...this.ends.values()].some(end => end > 0);
  }

  // The next records, the newest first; each window is larger while few of its records are wanted.
  async next() {
    const waiting = [...this.ends].filter(([, end]) => end > 0),
      found = [];
    const read = async () => {
      for (let one; (one = waiting.pop());) found.push(...(await this.read(...one)));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, read));
    if (found.length < SHOWN / 4) this.window *= GROWTH;
    return found.sort(newestFirst);
  }

  async read(partition, end) {
    const start = Math.max(0, end - this.window),
      items = [];
    this.ends.set(partition, start);
    for (let from = start; from < end;) {
      const query = new URLSearchParams({ ...this.filters, partition, from });
      const { items: found, next_cursor: next } = await this.page.get(`/events?${query}`);
      items.push(...found.filter(r => offsetOf(r) < end));
      from = next ? +next.split("@")[1] : end;
    }
    return items;
  }
}

export const offsetOf = r => +r.position.split("@")[1];
export const partitionOf = r => +r.position.split("@")[0];

// By the log's time; of one partition by its order.
export function newestFirst(a, b) {
  if (partitionOf(a) === partitionOf(b)) return offsetOf(b) - offsetOf(a);
  return a.time < b.time ? 1 : a.time > b.time ? -1 : partitionOf(b) - partitionOf(a);
}
