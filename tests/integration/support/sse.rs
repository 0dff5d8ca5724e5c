//! A client of an event stream.

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use super::writers::PATIENCE;

/// Reads the events of one stream.
pub(crate) struct EventSource {
    response: Response,
    text: String,
    /// The last id that came.
    pub(crate) id: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl EventSource {
    /// Opens a stream, and waits until it says where it begins.
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        let request = request.header("Accept", "text/event-stream");
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{response:?}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new(), id: String::new() }
    }

    /// The next event; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.read()).await.expect("an event in time")
    }

    /// Reads until the stream says where it is.
    pub(crate) async fn begun(mut self) -> Self {
        while self.id.is_empty() {
            let more = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let more = more.expect("in time").expect("no break").expect("no end");
            self.text += std::str::from_utf8(&more).expect("text");
            self.take_silent();
        }
        self
    }

    /// The next event of this name; others are passed over.
    pub(crate) async fn find(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("no end");
            if event.name == name {
                return event;
            }
        }
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = self.event(&block) {
                    return Some(event);
                }
            }
            let more = self.response.chunk().await.ok().flatten()?;
            self.text += std::str::from_utf8(&more).expect("text");
        }
    }

    /// Takes what says where the stream begins.
    fn take_silent(&mut self) {
        while self.id.is_empty()
            && let Some((block, rest)) = self.text.split_once("\n\n")
        {
            let (block, rest) = (block.to_owned(), rest.to_owned());
            assert!(self.event(&block).is_none(), "{block}");
            self.text = rest;
        }
    }

    fn event(&mut self, block: &str) -> Option<Event> {
        let field =
            |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        if let Some(id) = field("id") {
            self.id = id.to_owned();
        }
        let data = serde_json::from_str(field("data")?).expect("JSON");
        Some(Event { name: field("event").expect("a name").to_owned(), data })
    }
}
