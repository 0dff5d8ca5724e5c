//! Batches: NDJSON both ways on a few connections, beside single commands.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;

/// Lines that are written at once.
const LINES_AT_ONCE: u64 = 256;
/// Different amounts of the deposits that have many.
pub(crate) const SIZES: u64 = 1_000;
/// What begins the answer to a command that was done.
const DONE: &[u8] = b",\"status\":200,";

/// What became of some batches.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    /// Lines answered a second, all of them.
    pub(crate) per_second: f64,
    /// Lines that were not done, such as those told to come again later.
    pub(crate) undone: u64,
}

/// Sends so many batches of so many lines; `line` writes one for its number.
pub(crate) async fn send(
    address: SocketAddr,
    batches: u64,
    lines: u64,
    line: fn(u64, &mut String),
) -> anyhow::Result<Sent> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for batch in 0..batches {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reading, writing) = stream.into_split();
        let numbers = (batch * lines)..((batch + 1) * lines);
        tasks.spawn(write(writing, numbers, line));
        tasks.spawn(read(reading));
    }
    let mut done = 0;
    while let Some(ended) = tasks.join_next().await {
        done += ended??;
    }
    let all = batches * lines;
    Ok(Sent { per_second: all as f64 / began.elapsed().as_secs_f64(), undone: all - done })
}

pub(crate) fn open(number: u64, line: &mut String) {
    let command = r#"{"type":"OpenAccount","owner":"Ann Example"}"#;
    envelope(number, command, line);
}

/// A deposit on one of a million accounts.
pub(crate) fn deposit_on_a_million(number: u64, line: &mut String) {
    // A prime below a million: neighbours are far apart.
    deposit(number.wrapping_mul(611_953) % 1_000_000, line);
}

/// A deposit on one of a thousand accounts.
pub(crate) fn deposit_on_a_thousand(number: u64, line: &mut String) {
    deposit(number % 1_000, line);
}

/// A deposit on always the same account.
pub(crate) fn deposit_on_one(_: u64, line: &mut String) {
    deposit(0, line);
}

/// A deposit on the account of this number, of an amount that many others have.
pub(crate) fn deposit_of_many_sizes(number: u64, line: &mut String) {
    let amount = number.wrapping_mul(7_919) % SIZES + 1;
    envelope(number, &format!(r#"{{"type":"DepositMoney","amount":{amount}}}"#), line);
}

/// A deposit on one of a thousand accounts, under a key of its own.
pub(crate) fn deposit_with_key(number: u64, line: &mut String) {
    keyed("one", number, line);
}

/// The same under still other keys.
pub(crate) fn deposit_with_other_key(number: u64, line: &mut String) {
    keyed("other", number, line);
}

fn keyed(prefix: &str, number: u64, line: &mut String) {
    deposit(number % 1_000, line);
    line.truncate(line.len() - 2);
    let _ = writeln!(line, r#","key":"{prefix}-{number}"}}"#);
}

fn deposit(account: u64, line: &mut String) {
    envelope(account, r#"{"type":"DepositMoney","amount":1}"#, line);
}

fn envelope(account: u64, command: &str, line: &mut String) {
    let _ = writeln!(
        line,
        r#"{{"aggregate":{{"type":"account","id":"acc-{account}"}},"command":{command}}}"#
    );
}

async fn write(
    mut writing: OwnedWriteHalf,
    numbers: std::ops::Range<u64>,
    line: fn(u64, &mut String),
) -> anyhow::Result<u64> {
    let head = "POST /commands HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\
                Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    writing.write_all(head.as_bytes()).await?;
    let (mut lines, mut chunk) = (String::new(), String::new());
    let mut next = numbers.start;
    while next < numbers.end {
        lines.clear();
        chunk.clear();
        let until = (next + LINES_AT_ONCE).min(numbers.end);
        (next..until).for_each(|number| line(number, &mut lines));
        let _ = write!(chunk, "{:x}\r\n{lines}\r\n", lines.len());
        writing.write_all(chunk.as_bytes()).await?;
        next = until;
    }
    writing.write_all(b"0\r\n\r\n").await?;
    // Whoever closes its side is taken for gone: it stays open until all is read.
    writing.forget();
    Ok(0)
}

/// Reads all answers; returns how many say that a command was done.
async fn read(mut reading: OwnedReadHalf) -> anyhow::Result<u64> {
    let (mut buffer, mut kept) = (vec![0; 64 * 1024], 0);
    let mut done = 0;
    loop {
        let len = reading.read(&mut buffer[kept..]).await?;
        if len == 0 {
            break;
        }
        let whole = kept + len;
        done += buffer[..whole].windows(DONE.len()).filter(|window| *window == DONE).count() as u64;
        // What may be the beginning of the next one.
        kept = whole.min(DONE.len() - 1);
        buffer.copy_within(whole - kept..whole, 0);
    }
    Ok(done)
}
