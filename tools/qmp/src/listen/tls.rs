//! The server's side of TLS, with the files of QEMU's `tls-creds-x509`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::Error;

/// Where credentials are: a directory with `ca-cert.pem`, `server-cert.pem`,
/// `server-key.pem`, and perhaps `ca-crl.pem`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The directory.
    pub dir: PathBuf,
    /// Whether clients must show a certificate of the same authority.
    pub verify_peer: bool,
}

impl TlsFiles {
    pub(super) fn server(&self) -> Result<Arc<ServerConfig>, Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.unusable(error))?;
        let builder = if self.verify_peer {
            let verifier = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider)
                .with_crls(self.revoked()?)
                .build()
                .map_err(|error| self.unusable(error))?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let chain = certificates(&self.dir.join("server-cert.pem"))?;
        let path = self.dir.join("server-key.pem");
        let key = PrivateKeyDer::from_pem_file(&path).map_err(|error| unreadable(&path, error))?;
        let config = builder.with_single_cert(chain, key);
        Ok(Arc::new(config.map_err(|error| self.unusable(error))?))
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.dir.join("ca-cert.pem"))? {
            roots
                .add(certificate)
                .map_err(|error| self.unusable(error))?;
        }
        Ok(Arc::new(roots))
    }

    /// The certificates that were revoked; there need not be a list of them.
    fn revoked(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
        let path = self.dir.join("ca-crl.pem");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let lists = CertificateRevocationListDer::pem_file_iter(&path);
        let lists = lists.and_then(Iterator::collect);
        lists.map_err(|error| unreadable(&path, error))
    }

    fn unusable(&self, error: impl std::fmt::Display) -> Error {
        unreadable(&self.dir, error)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    chain.map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::usage(format!("credentials in {}: {error}", path.display()))
}
