//! TLS, with certificates as QEMU's `tls-creds-x509` wants them.

use crate::{Error, Result};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whom to trust over TLS, and who we are.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// Trusts servers whose certificate an authority in the file `authority`
    /// has signed. `identity` is our own certificate and key, for servers that
    /// ask for them. All are PEM files.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn new(authority: &Path, identity: Option<(&Path, &Path)>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authority)? {
            roots
                .add(certificate)
                .map_err(|error| unusable(authority, error))?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(authority, error))?
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let secret =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
                builder
                    .with_client_auth_cert(certificates(certificate)?, secret)
                    .map_err(|error| unusable(certificate, error))?
            }
        };
        Ok(Self {
            connector: Arc::new(config).into(),
            server_name: None,
        })
    }

    /// Takes the files from a directory laid out as QEMU's `tls-creds-x509`
    /// has it: `ca-cert.pem`, and `client-cert.pem` and `client-key.pem` if
    /// they are there.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn from_directory(directory: &Path) -> Result<Self> {
        let certificate = directory.join("client-cert.pem");
        let key = directory.join("client-key.pem");
        let identity = certificate.exists().then_some((&*certificate, &*key));
        Self::new(&directory.join("ca-cert.pem"), identity)
    }

    /// The name that the server's certificate must bear, if it is not the
    /// address's.
    ///
    /// # Errors
    /// It is no name.
    pub fn server_name(mut self, name: &str) -> Result<Self> {
        let name = ServerName::try_from(name.to_owned());
        self.server_name = Some(name.map_err(|error| Error::usage(error.to_string()))?);
        Ok(self)
    }

    pub(super) async fn wrap(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        self.connector.connect(name, stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(path);
    let certificates = certificates.and_then(Iterator::collect);
    certificates.map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, error: impl fmt::Display) -> Error {
    Error::usage(format!("{}: {error}", path.display()))
}
