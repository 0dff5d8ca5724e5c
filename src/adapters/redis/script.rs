//! A Lua script, sent by its hash. Redis forgets scripts when it restarts: then it is sent whole.

use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};

use super::servers::Servers;

pub(super) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    pub(super) fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }

    /// Runs it on `keys_len` keys; `add` adds them to the command, and then the arguments.
    pub(super) async fn run(
        &self,
        servers: &Servers,
        keys_len: usize,
        add: impl Fn(&mut Cmd) + Send + Sync,
    ) -> Result<Value, RedisError> {
        let mut by_hash = redis::cmd("EVALSHA");
        by_hash.arg(&self.hash).arg(keys_len);
        add(&mut by_hash);
        match servers.call(&by_hash).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {}
            answer => return answer,
        }
        let mut whole = redis::cmd("EVAL");
        whole.arg(self.code).arg(keys_len);
        add(&mut whole);
        servers.call(&whole).await
    }
}
