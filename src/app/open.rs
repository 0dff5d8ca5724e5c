//! From a URL in the settings to an adapter.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::adapters::embedded::{EmbeddedBookmarks, EmbeddedLog, EmbeddedViews};
use crate::adapters::memory::{MemoryBookmarks, MemoryLog, MemoryViews};
use crate::config::{Config, LogConfig, LogUrl, ViewsUrl};
use crate::log::Partitions;
use crate::ports::{Bookmarks, Clock, EventLog, ViewStore};

use super::AppError;

/// Opens what the settings name, where nothing was given.
pub(super) async fn open_ports(
    log: Option<Arc<dyn EventLog>>,
    store: Option<Arc<dyn ViewStore>>,
    projections_on: &Handle,
    config: &Config,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<dyn EventLog>, Arc<dyn ViewStore>), AppError> {
    let log = match log {
        Some(log) => log,
        None => open_log(&config.log, clock.clone()).await?,
    };
    let store = match store {
        Some(store) => store,
        None => open_views_on(projections_on, config, log.name(), clock).await?,
    };
    Ok((log, store))
}

/// Opens the view store where it will be served.
async fn open_views_on(
    runtime: &Handle,
    config: &Config,
    log: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn ViewStore>, AppError> {
    let (config, log) = (config.clone(), log.to_owned());
    let open = async move { open_views(&config, &log, clock).await };
    runtime.spawn(open).await.expect("opening does not panic")
}

/// The log that `log.url` names.
///
/// # Errors
/// An embedded log cannot be opened, or this binary was built without the adapter.
pub async fn open_log(
    config: &LogConfig,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn EventLog>, AppError> {
    let partitions = Partitions::new(config.partitions).ok_or_else(|| AppError::Setting {
        key: "log.partitions",
        detail: "must be at least 1".to_owned(),
    })?;
    match &config.url {
        LogUrl::Memory => Ok(Arc::new(MemoryLog::new(partitions, clock))),
        LogUrl::Embedded(folder) => {
            let (folder, record_bytes_max) = (folder.clone(), config.record_bytes_max);
            let open = move || EmbeddedLog::open(&folder, partitions, record_bytes_max, clock);
            let opened = tokio::task::spawn_blocking(open).await;
            Ok(Arc::new(opened.expect("opening does not panic")?))
        }
        #[cfg(feature = "kafka")]
        LogUrl::Kafka(address) => {
            Ok(Arc::new(crate::adapters::kafka::KafkaLog::connect(address, config)?))
        }
        #[cfg(not(feature = "kafka"))]
        LogUrl::Kafka(_) => Err(not_built("log.url", "kafka")),
    }
}

/// The bookmarks beside the log that `log.url` names.
#[must_use]
pub fn open_bookmarks(config: &LogConfig) -> Arc<dyn Bookmarks> {
    match &config.url {
        LogUrl::Embedded(folder) => Arc::new(EmbeddedBookmarks::beside(folder)),
        #[cfg(feature = "kafka")]
        LogUrl::Kafka(address) => {
            Arc::new(crate::adapters::kafka::KafkaBookmarks::beside(address, config))
        }
        // A log of an adapter that is not there was not opened.
        _ => Arc::new(MemoryBookmarks::default()),
    }
}

/// The view store that `views.url` names; `log` is the log's name, the default namespace.
///
/// # Errors
/// An embedded store cannot be opened, or this binary was built without the adapter.
#[cfg_attr(not(feature = "redis"), expect(unused_variables, reason = "only Redis has names"))]
pub async fn open_views(
    config: &Config,
    log: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn ViewStore>, AppError> {
    match &config.views.url {
        ViewsUrl::Memory => Ok(Arc::new(MemoryViews::new(clock))),
        ViewsUrl::Embedded(folder) => {
            let folder = folder.clone();
            let open = move || EmbeddedViews::open(&folder, clock);
            let opened = tokio::task::spawn_blocking(open).await;
            Ok(Arc::new(opened.expect("opening does not panic")?))
        }
        #[cfg(feature = "redis")]
        ViewsUrl::Redis(url) => {
            let named = config.views.namespace.as_str();
            let namespace = if named.is_empty() { log } else { named };
            let redis = &config.views.redis;
            let views =
                crate::adapters::redis::RedisViews::connect(url.as_str(), namespace, redis)?;
            Ok(Arc::new(views))
        }
        #[cfg(not(feature = "redis"))]
        ViewsUrl::Redis(_) => Err(not_built("views.url", "redis")),
    }
}

#[cfg(not(all(feature = "kafka", feature = "redis")))]
fn not_built(key: &'static str, feature: &str) -> AppError {
    AppError::Setting { key, detail: format!("this binary was built without `{feature}`") }
}
