//! Whether this Redis can be trusted with what is decided on. Asked at start and every minute:
//! settings change while a server runs.

use redis::{Value, from_redis_value};

use crate::ports::StoreError;

use super::evictions;
use super::fault::fault;
use super::keys::Keys;
use super::servers::Servers;

pub(super) async fn check(servers: &Servers, keys: &Keys) -> Result<(), StoreError> {
    let primaries = servers.primaries().await.map_err(|error| match error.code() {
        // As a server says that is of no cluster.
        Some("ERR") => StoreError::Settings(vec![of_another_kind(true)]),
        _ => fault(&"CLUSTER", &error),
    })?;
    for primary in primaries {
        let answer = primary.pool.call(&redis::cmd("INFO")).await;
        let info = info(answer.map_err(|error| fault(&"INFO", &error))?)?;
        judge(&info, servers.is_cluster())?;
        evictions::discard(servers, &primary, keys, &info).await?;
    }
    Ok(())
}

fn info(answer: Value) -> Result<String, StoreError> {
    from_redis_value(answer)
        .map_err(|error| StoreError::Unavailable(format!("INFO cannot be read: {error}")))
}

fn judge(info: &str, is_cluster: bool) -> Result<(), StoreError> {
    let mut wrong = Vec::new();
    let version = field(info, "redis_version").unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 7) {
        wrong.push(format!(
            "Redis: redis_version is {version:?}, needed is 7.0 or later; upgrade the server, \
             then look: redis-cli INFO server"
        ));
    }
    let policy = field(info, "maxmemory_policy").unwrap_or_default();
    if policy != "noeviction" {
        wrong.push(format!(
            "Redis: maxmemory-policy is {policy:?}, needed is noeviction, or views would vanish \
             one by one; mend it: redis-cli CONFIG SET maxmemory-policy noeviction"
        ));
    }
    if (field(info, "cluster_enabled") == Some("1")) != is_cluster {
        wrong.push(of_another_kind(is_cluster));
    }
    if !wrong.is_empty() {
        return Err(StoreError::Settings(wrong));
    }
    match field(info, "role") {
        // It may be promoted yet: waiting can help.
        Some("slave") => Err(StoreError::Unavailable(
            "Redis is a replica; views.url must name the primary".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// What is wrong when the URL is that of a cluster and the server is not, or the other way round.
fn of_another_kind(is_cluster: bool) -> String {
    let (is, scheme) = if is_cluster { ("not one", "redis") } else { ("one", "redis-cluster") };
    format!("Redis: the server is {is} of a cluster; write views.url as {scheme}://HOST:PORT")
}

pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.2.4\r\nmaxmemory_policy:noeviction\r\n\
                        role:master\r\ncluster_enabled:0\r\n";

    #[test]
    fn a_redis_that_keeps_everything_is_trusted() {
        judge(GOOD, false).expect("trusted");
        judge(&GOOD.replace("7.2.4", "10.0.0"), false).expect("trusted");
    }

    #[test]
    fn every_wrong_setting_is_named_with_the_command_that_mends_it() {
        let info = GOOD.replace("7.2.4", "6.2.14").replace("noeviction", "allkeys-lru");
        let Err(StoreError::Settings(wrong)) = judge(&info, false) else {
            panic!("it was trusted")
        };
        assert_eq!(wrong.len(), 2);
        assert!(wrong[0].contains("6.2.14") && wrong[0].contains("7.0"), "{}", wrong[0]);
        assert!(wrong[1].contains("\"allkeys-lru\""), "{}", wrong[1]);
        assert!(wrong[1].contains("redis-cli CONFIG SET maxmemory-policy noeviction"));
    }

    #[test]
    fn what_is_not_what_the_url_says_is_not_trusted() {
        assert!(matches!(judge("", false), Err(StoreError::Settings(wrong)) if wrong.len() == 2));
        let cluster = GOOD.replace("cluster_enabled:0", "cluster_enabled:1");
        judge(&cluster, true).expect("trusted");
        for (info, is_cluster) in [(cluster.as_str(), false), (GOOD, true)] {
            let Err(StoreError::Settings(wrong)) = judge(info, is_cluster) else {
                panic!("it was trusted")
            };
            assert!(wrong[0].contains("views.url as redis"), "{}", wrong[0]);
        }
    }

    #[test]
    fn a_replica_may_become_the_primary() {
        let replica = GOOD.replace("role:master", "role:slave");
        assert!(matches!(judge(&replica, false), Err(StoreError::Unavailable(_))));
    }
}
