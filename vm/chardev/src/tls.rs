//! TLS over sockets, with X.509 certificates from a directory (`tls-creds-x509`).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::connection::Transport;
use crate::distinguished_name;
use crate::error::{Error, Result};

/// Whose side the credentials are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Of those who listen.
    Server,
    /// Of those who connect.
    Client,
}

/// Where credentials are and what they demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The directory: `ca-cert.pem`, `ca-crl.pem`, `server-cert.pem`, `server-key.pem`, and the
    /// same for `client`.
    pub dir: PathBuf,
    /// Which of them are used.
    pub endpoint: Endpoint,
    /// Whether the peer must show a certificate of the same authority.
    pub verify_peer: bool,
}

/// Decides which peers may connect, by the distinguished names in their certificates.
#[derive(Clone)]
pub struct Authorizer(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Authorizer {
    /// Asks `admits` for every peer that has shaken hands; it must not block for long.
    pub fn new(admits: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(admits))
    }

    /// Refuses a peer by its certificate. Those who were not asked for one have none.
    fn check(&self, certificates: Option<&[CertificateDer<'_>]>) -> io::Result<()> {
        let Some(certificate) = certificates.and_then(<[_]>::first) else {
            return Ok(());
        };
        match distinguished_name::subject(certificate) {
            Some(name) if (self.0)(&name) => Ok(()),
            _ => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer").finish_non_exhaustive()
    }
}

/// Credentials, ready for use. Clones share them.
#[derive(Clone)]
pub struct TlsCreds(Side);

#[derive(Clone)]
enum Side {
    Server(TlsAcceptor),
    Client(TlsConnector),
}

impl TlsCreds {
    /// Loads the files.
    ///
    /// # Errors
    /// One is missing or makes no sense.
    pub fn load(files: &TlsFiles) -> Result<Self> {
        let loader = Loader {
            files,
            provider: Arc::new(ring::default_provider()),
        };
        Ok(Self(match files.endpoint {
            Endpoint::Server => Side::Server(loader.server()?.into()),
            Endpoint::Client => Side::Client(loader.client()?.into()),
        }))
    }

    /// Refuses credentials that are for the other side.
    pub(crate) fn check(&self, server: bool) -> Result<()> {
        match (&self.0, server) {
            (Side::Server(_), true) | (Side::Client(_), false) => Ok(()),
            (_, true) => Err(Error::TlsEndpoint("server")),
            (_, false) => Err(Error::TlsEndpoint("client")),
        }
    }

    /// Shakes hands; a client checks that the server's certificate is for `host`, a server asks
    /// `authorizer` about the client's.
    pub(crate) async fn wrap(
        &self,
        transport: Box<dyn Transport>,
        host: Option<&str>,
        authorizer: Option<&Authorizer>,
    ) -> io::Result<Box<dyn Transport>> {
        match &self.0 {
            Side::Server(acceptor) => {
                let stream = acceptor.accept(transport).await?;
                if let Some(authorizer) = authorizer {
                    authorizer.check(stream.get_ref().1.peer_certificates())?;
                }
                Ok(Box::new(stream))
            }
            Side::Client(connector) => {
                let name = ServerName::try_from(host.unwrap_or(NO_HOST).to_owned());
                let name = name.map_err(io::Error::other)?;
                Ok(Box::new(connector.connect(name, transport).await?))
            }
        }
    }
}

/// Stands for the server's name where an address has none, such as a path. Names that end in
/// `.invalid` belong to nobody (RFC 6761 §6.4).
const NO_HOST: &str = "nameless.invalid";

impl fmt::Debug for TlsCreds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsCreds").finish_non_exhaustive()
    }
}

struct Loader<'a> {
    files: &'a TlsFiles,
    provider: Arc<CryptoProvider>,
}

impl Loader<'_> {
    fn server(&self) -> Result<Arc<ServerConfig>> {
        let roots = self.roots()?;
        let (chain, key) = self.identity("server")?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.unusable(error))?;
        let builder = if self.files.verify_peer {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
                    .with_crls(self.revoked()?)
                    .build()
                    .map_err(|error| self.unusable(error))?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_single_cert(chain, key);
        Ok(Arc::new(config.map_err(|error| self.unusable(error))?))
    }

    fn client(&self) -> Result<Arc<ClientConfig>> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.unusable(error))?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(self.roots()?, Arc::clone(&self.provider))
                .with_crls(self.revoked()?)
                .build()
                .map_err(|error| self.unusable(error))?;
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier {
                inner: verifier,
                verify_peer: self.files.verify_peer,
            }));
        // A client may have no certificate, where the server asks for none.
        let config = if self.path("client-cert.pem").exists() {
            let (chain, key) = self.identity("client")?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|error| self.unusable(error))?
        } else {
            builder.with_no_client_auth()
        };
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<Arc<RootCertStore>> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates("ca-cert.pem")? {
            let added = roots.add(certificate);
            added.map_err(|error| self.unusable(error))?;
        }
        Ok(Arc::new(roots))
    }

    /// The list of revoked certificates, which need not be there.
    fn revoked(&self) -> Result<Vec<CertificateRevocationListDer<'static>>> {
        let path = self.path("ca-crl.pem");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let list = CertificateRevocationListDer::pem_file_iter(&path);
        let list = list.and_then(Iterator::collect);
        list.map_err(|error| unreadable(&path, error))
    }

    fn identity(
        &self,
        side: &str,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let chain = self.certificates(&format!("{side}-cert.pem"))?;
        let path = self.path(&format!("{side}-key.pem"));
        let key = PrivateKeyDer::from_pem_file(&path);
        Ok((chain, key.map_err(|error| unreadable(&path, error))?))
    }

    fn certificates(&self, name: &str) -> Result<Vec<CertificateDer<'static>>> {
        let path = self.path(name);
        if !path.exists() {
            return Err(Error::TlsAccess(path));
        }
        let certificates = CertificateDer::pem_file_iter(&path);
        let certificates = certificates.and_then(Iterator::collect);
        certificates.map_err(|error| unreadable(&path, error))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.dir.join(name)
    }

    fn unusable(&self, error: impl fmt::Display) -> Error {
        unreadable(&self.files.dir, error)
    }
}

fn unreadable(path: &Path, error: impl fmt::Display) -> Error {
    Error::TlsLoad {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// Checks a server as its credentials ask for.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    verify_peer: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if !self.verify_peer {
            return Ok(ServerCertVerified::assertion());
        }
        let verified = self
            .inner
            .verify_server_cert(certificate, chain, name, ocsp, now);
        // The name comes last, when all else is in order.
        match verified {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if name.to_str() == NO_HOST => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
