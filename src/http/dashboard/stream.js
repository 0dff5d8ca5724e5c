// Follows an event stream by fetch: EventSource cannot send a token.
//
// `on.event(name, data)` for each event, `on.place(positions)` when the stream says where it is,
// `on.open()` and `on.broken(problem)` when it begins and when it breaks off. What broke off goes
// on behind the last id, which the service understands as its place in the log. It throws the
// problem where the caller is not, or no longer, let in.

const WAIT_MS = 1_000,
  WAIT_MAX_MS = 15_000;

export async function follow(url, { signal, on, headers, parse, problemOf }) {
  let last = null,
    wait = WAIT_MS;
  while (!signal.aborted) {
    try {
      const answer = await open(
        url,
        { ...headers(), ...(last ? { "Last-Event-ID": last } : {}) },
        signal,
      );
      if (!answer.ok) {
        const problem = problemOf(answer, await answer.text());
        on.broken?.(problem);
        if (problem.status === 401 || problem.status === 403) throw problem;
        // Nothing that waiting would mend.
        if (problem.status < 500 && problem.status !== 429) return;
        wait = Math.max(wait, (problem.retry_after_s ?? 0) * 1000);
      } else {
        on.open?.();
        wait = WAIT_MS;
        await read(answer.body, message => {
          if (message.id) {
            last = message.id;
            on.place?.(last);
          }
          if (message.data) on.event?.(message.name, parse(message.data));
        });
        on.broken?.(null);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.name !== "TypeError") throw error; // fetch says so when the network fails
      on.broken?.(null);
    }
    await pause(wait * (0.75 + Math.random() / 2), signal);
    wait = Math.min(wait * 2, WAIT_MAX_MS);
  }
}

const open = (url, headers, signal) =>
  fetch(url, {
    signal,
    cache: "no-store",
    credentials: "omit",
    headers: { Accept: "text/event-stream", ...headers },
  });

async function read(body, onMessage) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) onMessage(messageOf(block));
  }
}

function messageOf(block) {
  const message = { name: "message", id: null, data: null };
  for (const line of block.split("\n")) {
    const at = line.indexOf(":"),
      field = line.slice(0, at),
      value = line.slice(at + 1).replace(/^ /, "");
    if (field === "event") message.name = value;
    if (field === "id") message.id = value;
    if (field === "data")
      message.data = message.data === null ? value : `${message.data}\n${value}`;
  }
  return message;
}

const pause = (ms, signal) =>
  new Promise(done => {
    const timer = setTimeout(done, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        done();
      },
      { once: true },
    );
  });
