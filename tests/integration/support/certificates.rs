//! An authority of a test's own, and certificates for this machine.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::callers::put;

/// Signs certificates; its own, and those that it signs, are files in its folder.
pub(crate) struct CertificateAuthority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl CertificateAuthority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Retell's tests");
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("signed").pem();
        let folder = tempfile::tempdir().expect("a folder");
        let this = Self { folder, issuer: Issuer::new(params, key), pem };
        put(&this.file("ca.pem"), this.pem.as_bytes());
        this
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes another certificate for this machine, and its key, to `cert.pem` and `key.pem`, and
    /// both to `both.pem`.
    pub(crate) fn issue(&self) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed").pem();
        let key = key.serialize_pem();
        put(&self.file("cert.pem"), certificate.as_bytes());
        put(&self.file("key.pem"), key.as_bytes());
        put(&self.file("both.pem"), format!("{key}{certificate}").as_bytes());
    }

    /// A client that trusts this authority and no other.
    pub(crate) fn client(&self) -> reqwest::Client {
        let authority = reqwest::Certificate::from_pem(self.pem.as_bytes()).expect("PEM");
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]);
        client.tls_info(true).build().expect("a client")
    }
}

/// A path as a setting has it.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
