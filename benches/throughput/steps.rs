//! What a connection of the client does again and again.

use std::io;
use std::time::Instant;

use crate::client::Connection;

/// Something that a client does and waits for.
pub(crate) trait Step {
    /// Does it once. `number` counts the steps of all connections, `random` is new each time.
    async fn take(
        &self,
        connection: &mut Connection,
        number: u64,
        random: u64,
    ) -> io::Result<Taken>;
}

/// What became of a step.
pub(crate) struct Taken {
    /// Whether it was answered as it should be.
    pub(crate) right: bool,
    /// Since when it is measured, if not from its beginning.
    pub(crate) since: Option<Instant>,
}

/// A request that is answered with this status.
pub(crate) struct Request<F> {
    pub(crate) status: u16,
    /// Writes the request for a number and a random value.
    pub(crate) write: F,
}

/// A command, and a query as of its position.
pub(crate) struct ReadYourWrite {
    pub(crate) accounts: u64,
    /// Whether only the query is measured: from the command's answer on.
    pub(crate) only_read: bool,
}

impl<F: Fn(u64, u64) -> Vec<u8>> Step for Request<F> {
    async fn take(
        &self,
        connection: &mut Connection,
        number: u64,
        random: u64,
    ) -> io::Result<Taken> {
        let answer = connection.exchange(&(self.write)(number, random)).await?;
        Ok(Taken { right: self.status == answer.status, since: None })
    }
}

impl Step for ReadYourWrite {
    async fn take(&self, connection: &mut Connection, _: u64, random: u64) -> io::Result<Taken> {
        let account = random % self.accounts;
        let done = connection.exchange(&deposit(account)).await?;
        let since = self.only_read.then(Instant::now);
        let Some(position) = done.header("retell-position") else {
            return Ok(Taken { right: false, since });
        };
        let query = view(account, std::str::from_utf8(position).unwrap_or_default());
        let right = connection.exchange(&query).await?.status == 200;
        Ok(Taken { right, since })
    }
}

pub(crate) fn open(account: u64) -> Vec<u8> {
    command(account, r#"{"type":"OpenAccount","owner":"Ann Example"}"#)
}

pub(crate) fn deposit(account: u64) -> Vec<u8> {
    command(account, r#"{"type":"DepositMoney","amount":1}"#)
}

/// A deposit whose key nobody has sent before, if no other turn has this number.
pub(crate) fn deposit_with_key(account: u64, turn: u64, number: u64) -> Vec<u8> {
    let json = r#"{"type":"DepositMoney","amount":1}"#;
    format!(
        "POST /commands/account/acc-{account} HTTP/1.1\r\nHost: bench\r\n\
         Content-Type: application/json\r\nIdempotency-Key: bench-{turn}-{number}\r\n\
         Content-Length: {}\r\n\r\n{json}",
        json.len()
    )
    .into_bytes()
}

pub(crate) fn produce_message(id: &str) -> Vec<u8> {
    post(&format!("/commands/message/{id}"), r#"{"type":"ProduceMessage","text":"Hello"}"#)
}

/// More than there ever is.
pub(crate) fn overdraw(account: u64) -> Vec<u8> {
    command(account, r#"{"type":"WithdrawMoney","amount":9000000000000}"#)
}

/// The view of an account, as of a position if there is one.
pub(crate) fn view(account: u64, position: &str) -> Vec<u8> {
    let mut query = format!("GET /projections/accounts/acc-{account} HTTP/1.1\r\nHost: bench\r\n");
    if !position.is_empty() {
        query.push_str(&format!("Retell-Position: {position}\r\nPrefer: wait=30\r\n"));
    }
    query.push_str("\r\n");
    query.into_bytes()
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").into_bytes()
}

pub(crate) fn delete(path: &str) -> Vec<u8> {
    format!("DELETE {path} HTTP/1.1\r\nHost: bench\r\n\r\n").into_bytes()
}

pub(crate) fn post(path: &str, json: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{json}",
        json.len()
    )
    .into_bytes()
}

fn command(account: u64, json: &str) -> Vec<u8> {
    post(&format!("/commands/account/acc-{account}"), json)
}
