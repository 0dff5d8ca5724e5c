//! A connection of the client: HTTP/1.1, one request at a time, as little work as possible.
//!
//! It reads what our servers write and nothing else: lower-case header names, a content length.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BUFFER_LEN: usize = 16 * 1024;

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What a server answered.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER_LEN] })
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        let mut len = 0;
        let head_len = loop {
            let before = len;
            len += self.read(len).await?;
            // The end of the head may be cut anywhere.
            let from = before.saturating_sub(3);
            if let Some(at) = find(&self.buffer[from..len], b"\r\n\r\n") {
                break from + at + 4;
            }
        };
        let head = &self.buffer[..head_len];
        let status = number(head.get(9..12).unwrap_or_default()).ok_or_else(broken)?;
        let body_len = match header_of(head, "content-length") {
            Some(value) => number(value).ok_or_else(broken)?,
            None => 0,
        };
        let whole = head_len + body_len;
        if self.buffer.len() < whole {
            self.buffer.resize(whole, 0);
        }
        while len < whole {
            len += self.read(len).await?;
        }
        let (head, body) = self.buffer[..whole].split_at(head_len);
        let status = u16::try_from(status).map_err(|_| broken())?;
        Ok(Answer { status, head, body })
    }

    async fn read(&mut self, from: usize) -> io::Result<usize> {
        if from == self.buffer.len() {
            return Err(broken()); // a head longer than any of ours
        }
        match self.stream.read(&mut self.buffer[from..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => Ok(len),
        }
    }
}

impl<'a> Answer<'a> {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&'a [u8]> {
        header_of(self.head, name)
    }
}

fn header_of<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|&byte| byte == b'\n').skip(1).find_map(|line| {
        let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b": ")?;
        value.strip_suffix(b"\r")
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer that the client does not understand")
}
