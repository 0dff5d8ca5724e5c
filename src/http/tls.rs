//! TLS on the listener: a certificate that is read again when its files change.
//!
//! Connections that are open keep the certificate that they began with. Files that cannot be used
//! change nothing: the certificate before goes on, and the log says so.

use std::io;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ServerConfig, version};
use tokio_rustls::server::TlsStream;

use crate::config::{TlsConfig, WatchedFile};

/// Takes connections by TLS.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    files: [WatchedFile; 2],
    /// What the files hold: the chain of certificates, and the key.
    contents: [Vec<u8>; 2],
    interval: Duration,
}

/// The certificate that a client is shown.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl Tls {
    /// Reads the files; none where there are none.
    pub(super) async fn open(config: &TlsConfig) -> io::Result<Option<Self>> {
        if !config.is_used() {
            return Ok(None);
        }
        let of = |path: &String| WatchedFile::new(path.into());
        let mut files = [of(&config.certificate_file), of(&config.key_file)];
        let contents = read(&mut files).await.map_err(|error| wrong(&error))?;
        let key = certified(&contents).map_err(|error| wrong(&error))?;
        let current = Arc::new(Current(RwLock::new(Arc::new(key))));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = &[&version::TLS13, &version::TLS12];
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(io::Error::other)?;
        let mut server = server.with_no_client_auth().with_cert_resolver(current.clone());
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(server));
        Ok(Some(Self { acceptor, current, files, contents, interval: config.reload_interval }))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Looks at the files again and again.
    pub(super) async fn reload(mut self) {
        loop {
            tokio::time::sleep(self.interval).await;
            // Two files are never changed at once: a pair that does not fit may be half a change.
            match self.renew().await {
                Ok(true) => tracing::info!("the certificate of the listener was exchanged"),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "the listener's certificate stays as it was"),
            }
        }
    }

    async fn renew(&mut self) -> io::Result<bool> {
        let mut is_new = false;
        for (file, content) in self.files.iter_mut().zip(&mut self.contents) {
            if let Some(changed) = file.changed().await? {
                (*content, is_new) = (changed, true);
            }
        }
        if is_new {
            let key = Arc::new(certified(&self.contents)?);
            *self.current.0.write().expect("no panic while it is held") = key;
        }
        Ok(is_new)
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().expect("no panic while it is held").clone())
    }
}

/// The handshake, within `limit`: a client that says nothing holds nothing.
pub(super) async fn accept(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    limit: Duration,
) -> io::Result<TlsStream<TcpStream>> {
    tokio::time::timeout(limit, acceptor.accept(stream)).await?
}

async fn read(files: &mut [WatchedFile; 2]) -> io::Result<[Vec<u8>; 2]> {
    let mut contents = [Vec::new(), Vec::new()];
    for (file, content) in files.iter_mut().zip(&mut contents) {
        let path = file.path().display().to_string();
        let read = file.changed().await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot read {path}: {error}"))
        })?;
        *content = read.unwrap_or_default();
    }
    Ok(contents)
}

/// Checks that certificate and key are a pair.
fn certified([chain, key]: &[Vec<u8>; 2]) -> io::Result<CertifiedKey> {
    let no_key = |_| io::Error::other("the file of the key holds none in PEM");
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| io::Error::other("the file of the certificate is no PEM"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(no_key)?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(io::Error::other)
}

fn wrong(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("[http.tls]: {error}"))
}
