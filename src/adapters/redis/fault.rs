//! What Redis' errors mean to whoever uses the store.

use std::fmt::Display;

use redis::{ErrorKind, RedisError};

use crate::ports::StoreError;

/// What an error means that came while something was done with `space`.
pub(super) fn fault(space: &impl Display, error: &RedisError) -> StoreError {
    let Some(code) = error.code() else {
        return without_code(error);
    };
    match code {
        "OOM" => StoreError::Full(format!("{error}; raise Redis' maxmemory or remove something")),
        "LOADING" | "READONLY" | "MASTERDOWN" | "NOREPLICAS" | "MISCONF" | "BUSY"
        | "UNKILLABLE" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK" => {
            StoreError::Unavailable(error.to_string())
        }
        "NOAUTH" | "WRONGPASS" | "NOPERM" => StoreError::Settings(vec![refused(error)]),
        // Of a script, while a slot moves to another node of a cluster.
        "ERR" if error.to_string().contains("non local key") => {
            StoreError::Unavailable(error.to_string())
        }
        // What is left is a key that is not as a commit of ours left it.
        _ => torn(space, error),
    }
}

pub(super) fn torn(space: &impl Display, detail: &impl Display) -> StoreError {
    StoreError::Torn { space: space.to_string(), detail: detail.to_string() }
}

/// Whether nobody should use the connection any more that gave this error: it is closed, or it
/// may hold an answer that somebody gave up waiting for.
pub(super) fn breaks_connection(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse)
}

fn without_code(error: &RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::RESP3NotSupported => StoreError::Settings(vec![refused(error)]),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

fn refused(error: &RedisError) -> String {
    format!("views.url: Redis refuses us: {error}")
}

#[cfg(test)]
mod tests {
    use redis::{Value, parse_redis_value};

    use super::*;

    #[test]
    fn an_error_says_whether_waiting_helps() {
        type Is = fn(&StoreError) -> bool;
        let unavailable: Is = |error| matches!(error, StoreError::Unavailable(_));
        let full: Is = |error| matches!(error, StoreError::Full(_));
        let settings: Is = |error| matches!(error, StoreError::Settings(_));
        let torn: Is = |error| matches!(error, StoreError::Torn { .. });
        for (answer, is) in [
            ("-OOM command not allowed when used memory > 'maxmemory'.", full),
            ("-LOADING Redis is loading the dataset in memory", unavailable),
            ("-READONLY You can't write against a read only replica.", unavailable),
            ("-MISCONF Errors writing to the AOF file", unavailable),
            ("-NOREPLICAS Not enough good replicas to write.", unavailable),
            ("-NOAUTH Authentication required.", settings),
            ("-NOPERM User x has no permissions to run the 'evalsha' command", settings),
            ("-TRYAGAIN Multiple keys request during rehashing of slot", unavailable),
            ("-CLUSTERDOWN The cluster is down", unavailable),
            ("-ERR Script attempted to access a non local key in a cluster node", unavailable),
            ("-WRONGTYPE Operation against a key holding the wrong kind of value", torn),
            ("-TORN retell:{ns:a:b:p0}:doc:ann is no string", torn),
            ("-ERR user_script:1: attempt to index a nil value", torn),
        ] {
            let answer = parse_redis_value(format!("{answer}\r\n").as_bytes());
            let error = answer.and_then(Value::extract_error).expect_err("an error");
            assert!(is(&fault(&"space", &error)), "{answer:?}: {error:?}", answer = error.code());
        }
        let timeout = RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        assert!(unavailable(&fault(&"space", &timeout)) && breaks_connection(&timeout));
    }
}
