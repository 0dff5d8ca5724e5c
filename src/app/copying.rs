//! From the URLs of a copy to its source and its target.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::adapters::embedded::EmbeddedLog;
use crate::adapters::file::{FileSource, FileTarget};
use crate::config::{KafkaAddress, LogConfig, LogUrl};
use crate::ports::{Clock, CopyError, CopySource, CopyTarget, EventLog, Ids, Origin};
use crate::transfer::{LogSource, LogTarget};

/// Where a copy is from or goes to.
///
/// ```
/// use retell::app::CopyUrl;
///
/// let backup: CopyUrl = "file:backup.ndjson".parse()?;
/// assert_eq!(backup, CopyUrl::File("backup.ndjson".into()));
/// assert!("memory:".parse::<CopyUrl>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CopyUrl {
    /// `embedded:DIRECTORY`.
    Embedded(PathBuf),
    /// `kafka://HOST:PORT[,HOST:PORT…]/TOPIC`.
    Kafka(KafkaAddress),
    /// `file:PATH`.
    File(PathBuf),
}

impl FromStr for CopyUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file:") {
            return match path {
                "" => Err("file: needs a path, such as file:backup.ndjson".to_owned()),
                "-" => Err("a copy is read again, to verify it and to go on with it, which a \
                            pipe cannot be; name a file"
                    .to_owned()),
                path => Ok(Self::File(path.into())),
            };
        }
        match text.parse() {
            Ok(LogUrl::Embedded(dir)) => Ok(Self::Embedded(dir)),
            Ok(LogUrl::Kafka(address)) => Ok(Self::Kafka(address)),
            Ok(LogUrl::Memory) => Err("memory: is gone when the process ends".to_owned()),
            Err(_) if !text.contains(':') => Err("expected embedded:DIRECTORY, \
                                                  kafka://HOST:PORT[,HOST:PORT…]/TOPIC or \
                                                  file:PATH"
                .to_owned()),
            Err(error) => Err(format!("{error}, or file:PATH")),
        }
    }
}

impl fmt::Display for CopyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(dir) => write!(f, "embedded:{}", dir.display()),
            Self::Kafka(url) => url.fmt(f),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// Opens what is there; nothing is made.
///
/// # Errors
/// It is not there, or cannot be copied.
pub async fn open_copy_source(
    url: &CopyUrl,
    config: &LogConfig,
    clock: Arc<dyn Clock>,
) -> Result<Box<dyn CopySource>, CopyError> {
    let log = match url {
        CopyUrl::File(path) => return Ok(Box::new(FileSource::open(path).await?)),
        CopyUrl::Embedded(dir) => embedded(dir, config, None, clock).await?,
        CopyUrl::Kafka(url) => kafka::existing(url, config).await?,
    };
    Ok(Box::new(LogSource::open(log).await?))
}

/// Opens a target for a copy of `origin`, or makes one.
///
/// # Errors
/// It cannot hold that copy.
pub async fn open_copy_target(
    url: &CopyUrl,
    origin: &Origin,
    config: &LogConfig,
    clock: Arc<dyn Clock>,
) -> Result<Box<dyn CopyTarget>, CopyError> {
    let ids = Ids::new(clock.clone());
    let log = match url {
        CopyUrl::File(path) => return Ok(Box::new(FileTarget::open(path, origin).await?)),
        CopyUrl::Embedded(dir) => embedded(dir, config, Some(origin), clock).await?,
        CopyUrl::Kafka(url) => kafka::as_needed(url, config, origin).await?,
    };
    Ok(Box::new(LogTarget::new(log, origin.clone(), ids)?))
}

/// The log in a folder; one that is not there is made only for a copy of `origin`.
async fn embedded(
    dir: &Path,
    config: &LogConfig,
    origin: Option<&Origin>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn EventLog>, CopyError> {
    let (dir, record_bytes_max) = (dir.to_owned(), config.record_bytes_max);
    let new = origin.map(|origin| origin.partitions).filter(|_| !EmbeddedLog::is_in(&dir));
    let open = move || match new {
        Some(partitions) => EmbeddedLog::open(&dir, partitions, record_bytes_max, clock),
        None => EmbeddedLog::open_existing(&dir, record_bytes_max, clock),
    };
    let opened = tokio::task::spawn_blocking(open).await;
    Ok(Arc::new(opened.expect("opening does not panic")?))
}

#[cfg(feature = "kafka")]
mod kafka {
    use super::*;
    use crate::adapters::kafka::KafkaLog;
    use crate::log::PARTITION_HASH;

    /// The log on a topic that is there, with as many partitions as it has.
    pub(super) async fn existing(
        url: &KafkaAddress,
        config: &LogConfig,
    ) -> Result<Arc<dyn EventLog>, CopyError> {
        match found(url, config).await? {
            Some(partitions) => Ok(connect(url, config, partitions)?),
            None => Err(CopyError::Refused(format!("the topic of {url} is not there"))),
        }
    }

    /// The log on a topic that is made if it is not there, and checked if it is.
    pub(super) async fn as_needed(
        url: &KafkaAddress,
        config: &LogConfig,
        origin: &Origin,
    ) -> Result<Arc<dyn EventLog>, CopyError> {
        if let Some(partitions) = found(url, config).await? {
            origin.check(partitions, PARTITION_HASH)?;
        }
        let log = connect(url, config, origin.partitions.count())?;
        log.check().await?;
        Ok(log)
    }

    async fn found(url: &KafkaAddress, config: &LogConfig) -> Result<Option<u32>, CopyError> {
        let log = KafkaLog::connect(url, config)?;
        Ok(log.found_partitions().await?)
    }

    fn connect(
        url: &KafkaAddress,
        config: &LogConfig,
        partitions: u32,
    ) -> Result<Arc<KafkaLog>, CopyError> {
        let config = LogConfig { partitions, ..config.clone() };
        Ok(Arc::new(KafkaLog::connect(url, &config)?))
    }
}

#[cfg(not(feature = "kafka"))]
mod kafka {
    use super::*;

    pub(super) async fn existing(
        url: &KafkaAddress,
        _: &LogConfig,
    ) -> Result<Arc<dyn EventLog>, CopyError> {
        Err(not_built(url))
    }

    pub(super) async fn as_needed(
        url: &KafkaAddress,
        _: &LogConfig,
        _: &Origin,
    ) -> Result<Arc<dyn EventLog>, CopyError> {
        Err(not_built(url))
    }

    fn not_built(url: &KafkaAddress) -> CopyError {
        CopyError::Refused(format!("{url}: this binary was built without `kafka`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_log_or_a_file() {
        for text in ["embedded:./data/log", "kafka://a:9092,b:9092/t", "file:../b:c.ndjson"] {
            assert_eq!(text.parse::<CopyUrl>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn a_url_that_names_nothing_to_copy_is_refused_with_what_to_write() {
        for (text, said) in [
            ("backup.ndjson", "file:PATH"),
            ("file:", "needs a path"),
            ("file:-", "pipe"),
            ("memory:", "gone"),
            ("embedded:", "folder"),
            ("kafka://a/t", "HOST:PORT"),
            ("redis://a:1/0", "file:PATH"),
        ] {
            let error = text.parse::<CopyUrl>().expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
