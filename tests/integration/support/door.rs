//! A door before a broker, which can be told to answer for it that the cluster has no brokers.
//!
//! So a broker answers that its cluster has just fenced, because it was silent for too long. The
//! door passes everything on as it is, except answers about metadata: they name the door as the
//! address of each broker, so that clients stay here.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// The number of the question for metadata in Kafka's protocol.
const METADATA: i16 = 3;
/// Behind its length: the kind of a question, its version, and a number that the answer repeats.
const KIND_AT: usize = 0;
const VERSION_AT: usize = 2;
/// From this version on texts and lists have short lengths, and there are tags.
const FIRST_COMPACT: i16 = 9;

/// A door before one broker.
pub(crate) struct Door {
    address: SocketAddr,
    denies: Arc<AtomicBool>,
    denied: Arc<AtomicUsize>,
}

impl Door {
    /// Opens one before this broker.
    pub(crate) async fn before(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let door = Self { address, denies: Arc::default(), denied: Arc::default() };
        let (broker, denies) = (broker.to_owned(), Arc::clone(&door.denies));
        let denied = Arc::clone(&door.denied);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let broker = TcpStream::connect(&broker).await.expect("the broker is there");
                let ((from_client, to_client), (from_broker, to_broker)) =
                    (client.into_split(), broker.into_split());
                let asked = Arc::default();
                tokio::spawn(questions(from_client, to_broker, Arc::clone(&asked)));
                let answers = Answers {
                    port: address.port(),
                    asked,
                    denies: Arc::clone(&denies),
                    denied: Arc::clone(&denied),
                };
                tokio::spawn(answers.run(from_broker, to_client));
            }
        });
        door
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on there are no brokers, or there are again.
    pub(crate) fn deny(&self, denies: bool) {
        self.denies.store(denies, Ordering::SeqCst);
    }

    /// How many questions were answered so since this was last asked.
    pub(crate) fn denied(&self) -> usize {
        self.denied.swap(0, Ordering::SeqCst)
    }
}

/// The kind and the version of each question that is not answered yet: a broker answers a
/// connection's questions in order.
type Asked = Arc<Mutex<VecDeque<(i16, i16)>>>;

async fn questions(mut client: OwnedReadHalf, mut broker: OwnedWriteHalf, asked: Asked) {
    while let Some(question) = frame(&mut client).await {
        let number = |at: usize| i16::from_be_bytes([question[at], question[at + 1]]);
        let kind = (number(KIND_AT), number(VERSION_AT));
        asked.lock().expect("no panic").push_back(kind);
        if send(&mut broker, &question).await.is_none() {
            return;
        }
    }
}

struct Answers {
    port: u16,
    asked: Asked,
    denies: Arc<AtomicBool>,
    denied: Arc<AtomicUsize>,
}

impl Answers {
    async fn run(self, mut broker: OwnedReadHalf, mut client: OwnedWriteHalf) {
        while let Some(answer) = frame(&mut broker).await {
            let asked = self.asked.lock().expect("no panic").pop_front();
            let answer = match asked.expect("it was asked") {
                (METADATA, version) => {
                    assert!(version >= FIRST_COMPACT, "metadata of version {version}");
                    self.metadata(&answer)
                }
                _ => answer,
            };
            if send(&mut client, &answer).await.is_none() {
                return;
            }
        }
    }

    /// The same with the door's port for each broker, or without brokers.
    fn metadata(&self, answer: &[u8]) -> Vec<u8> {
        // The question's number, no tags, and how long the client must wait.
        let mut at = 4 + 1 + 4;
        let mut changed = answer[..at].to_vec();
        let count = short(answer, &mut at) - 1;
        let begin = at;
        let mut brokers = answer[begin..].to_vec();
        for _ in 0..count {
            at += 4;
            at += short(answer, &mut at) - 1;
            let port = i32::from(self.port).to_be_bytes();
            brokers[at - begin..at - begin + 4].copy_from_slice(&port);
            at += 4;
            // The rack may be none, which is 0.
            at += short(answer, &mut at).saturating_sub(1);
            assert_eq!(short(answer, &mut at), 0, "tags");
        }
        if self.denies.load(Ordering::SeqCst) {
            self.denied.fetch_add(1, Ordering::SeqCst);
            changed.push(1);
        } else {
            changed.push(u8::try_from(count + 1).expect("a few brokers"));
            changed.extend(&brokers[..at - begin]);
        }
        changed.extend(&answer[at..]);
        changed
    }
}

/// A number in groups of seven bits, the lowest first.
fn short(bytes: &[u8], at: &mut usize) -> usize {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number;
        }
        shift += 7;
    }
}

async fn frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let len = from.read_i32().await.ok()?;
    let mut frame = vec![0; usize::try_from(len).expect("a length")];
    from.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

async fn send(to: &mut OwnedWriteHalf, frame: &[u8]) -> Option<()> {
    to.write_i32(i32::try_from(frame.len()).expect("it came so")).await.ok()?;
    to.write_all(frame).await.ok()
}
