//! From a URL in the settings to an adapter.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::adapters::embedded::{EmbeddedLog, EmbeddedViews};
use crate::adapters::memory::{MemoryLog, MemoryViews};
use crate::config::{Config, LogConfig};
use crate::log::Partitions;
use crate::ports::{Clock, EventLog, ViewStore};

use super::AppError;

/// The log that `log.url` names.
///
/// # Errors
/// The URL names none, or an embedded log cannot be opened.
pub async fn open_log(
    config: &LogConfig,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn EventLog>, AppError> {
    let partitions = Partitions::new(config.partitions).ok_or_else(|| AppError::Setting {
        key: "log.partitions",
        detail: "must be at least 1".to_owned(),
    })?;
    let url = config.url.as_str();
    if url == "memory:" {
        return Ok(Arc::new(MemoryLog::new(partitions, clock)));
    }
    if let Some(folder) = url.strip_prefix("embedded:") {
        let (folder, record_bytes_max) = (PathBuf::from(folder), config.record_bytes_max);
        let open = move || EmbeddedLog::open(&folder, partitions, record_bytes_max, clock);
        let opened = tokio::task::spawn_blocking(open).await;
        return Ok(Arc::new(opened.expect("opening does not panic")?));
    }
    if url.starts_with("kafka://") {
        #[cfg(feature = "kafka")]
        return Ok(Arc::new(crate::adapters::kafka::KafkaLog::connect(url, config)?));
        #[cfg(not(feature = "kafka"))]
        return Err(not_built("log.url", "kafka"));
    }
    Err(AppError::Setting {
        key: "log.url",
        detail: "expected embedded:FOLDER, kafka://HOST:PORT/TOPIC or memory:".to_owned(),
    })
}

/// The view store that `views.url` names; `log` is the log's name, the default namespace.
///
/// # Errors
/// The URL names none, or an embedded store cannot be opened.
pub async fn open_views(
    config: &Config,
    log: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn ViewStore>, AppError> {
    let url = config.views.url.as_str();
    if url == "memory:" {
        return Ok(Arc::new(MemoryViews::new(clock)));
    }
    if let Some(folder) = url.strip_prefix("embedded:") {
        let folder = Path::new(folder).to_owned();
        let opened = tokio::task::spawn_blocking(move || EmbeddedViews::open(&folder, clock)).await;
        return Ok(Arc::new(opened.expect("opening does not panic")?));
    }
    if url.starts_with("redis://") || url.starts_with("rediss://") {
        #[cfg(feature = "redis")]
        {
            let named = config.views.namespace.as_str();
            let namespace = if named.is_empty() { log } else { named };
            let redis = &config.views.redis;
            let views = crate::adapters::redis::RedisViews::connect(url, namespace, redis)?;
            return Ok(Arc::new(views));
        }
        #[cfg(not(feature = "redis"))]
        return Err(not_built("views.url", log));
    }
    Err(AppError::Setting {
        key: "views.url",
        detail: "expected embedded:FOLDER, redis://HOST:PORT/DB or memory:".to_owned(),
    })
}

#[cfg(not(all(feature = "kafka", feature = "redis")))]
fn not_built(key: &'static str, feature: &str) -> AppError {
    AppError::Setting { key, detail: format!("this binary was built without `{feature}`") }
}
