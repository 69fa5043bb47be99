//! TLS, with certificates as QEMU's `tls-creds-x509` wants them.

use crate::{Error, Result};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Whom to trust over TLS, and who we are.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    /// For servers that connect by themselves.
    acceptor: Option<TlsAcceptor>,
    server_name: Option<ServerName<'static>>,
}

/// The files of a certificate and of its key.
type Identity<'a> = (&'a Path, &'a Path);

impl Tls {
    /// Trusts peers whose certificate an authority in the file `authority` has
    /// signed. `identity` is our own certificate and key: for servers that ask
    /// for them, and for listening. All are PEM files.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn new(authority: &Path, identity: Option<(&Path, &Path)>) -> Result<Self> {
        Self::with(authority, identity, identity)
    }

    /// Takes the files from a directory laid out as QEMU's `tls-creds-x509`
    /// has it: `ca-cert.pem`, and if they are there `client-cert.pem` and
    /// `client-key.pem` to connect with, `server-cert.pem` and
    /// `server-key.pem` to listen with.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn from_directory(directory: &Path) -> Result<Self> {
        let [client, server] = ["client", "server"].map(|side| {
            let certificate = directory.join(format!("{side}-cert.pem"));
            (certificate, directory.join(format!("{side}-key.pem")))
        });
        let there = |files: &(PathBuf, PathBuf)| files.0.exists();
        Self::with(
            &directory.join("ca-cert.pem"),
            Some(&client).filter(|files| there(files)).map(paths),
            Some(&server).filter(|files| there(files)).map(paths),
        )
    }

    fn with(
        authority: &Path,
        client: Option<Identity<'_>>,
        server: Option<Identity<'_>>,
    ) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authority)? {
            roots
                .add(certificate)
                .map_err(|error| unusable(authority, error))?;
        }
        let roots = Arc::new(roots);
        let server = server.map(|files| server_side(Arc::clone(&roots), authority, files));
        Ok(Self {
            connector: client_side(roots, authority, client)?.into(),
            acceptor: server.transpose()?.map(Into::into),
            server_name: None,
        })
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

    /// What takes connections, if there is a certificate to show.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.acceptor.clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

fn paths(files: &(PathBuf, PathBuf)) -> Identity<'_> {
    (&files.0, &files.1)
}

fn client_side(
    roots: Arc<RootCertStore>,
    authority: &Path,
    identity: Option<Identity<'_>>,
) -> Result<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(authority, error))?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate)?, secret(key)?)
            .map_err(|error| unusable(certificate, error))?,
    };
    Ok(Arc::new(config))
}

/// Whoever connects must show a certificate, as QEMU wants it of its clients
/// (`verify-peer=on`).
fn server_side(
    roots: Arc<RootCertStore>,
    authority: &Path,
    (certificate, key): Identity<'_>,
) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|error| unusable(authority, error))?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(authority, error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(certificate)?, secret(key)?)
        .map_err(|error| unusable(certificate, error))?;
    Ok(Arc::new(config))
}

fn secret(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unusable(path, error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(path);
    let certificates = certificates.and_then(Iterator::collect);
    certificates.map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, error: impl fmt::Display) -> Error {
    Error::usage(format!("{}: {error}", path.display()))
}
