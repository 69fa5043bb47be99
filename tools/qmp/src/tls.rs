//! Credentials for `tls:` addresses, as every subcommand takes them.

use std::path::PathBuf;

use clap::Args;
use tinamou_client::Tls;

use crate::Error;
use crate::listen::TlsFiles;

/// Where credentials are. Single files go before those of the directory.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options for tls: addresses")]
pub struct Credentials {
    /// A directory as QEMU's tls-creds-x509 has it: ca-cert.pem, and client-cert.pem and
    /// client-key.pem to connect, server-cert.pem and server-key.pem to listen
    #[arg(long, global = true, value_name = "DIR")]
    pub tls: Option<PathBuf>,
    /// Trust servers whose certificate this authority has signed
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Show servers this certificate
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The key of --tls-cert
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Expect this name in the server's certificate, not the address's
    #[arg(long, global = true, value_name = "NAME")]
    pub tls_hostname: Option<String>,
}

impl Credentials {
    /// For connecting: whom to trust, and who we are.
    ///
    /// # Errors
    ///
    /// Nothing says whom to trust, or a file cannot be used.
    pub fn client(&self) -> Result<Tls, Error> {
        let Some(authority) = self.authority() else {
            return Err(Error::usage(
                "tls: needs --tls DIR or --tls-ca FILE, to know whom to trust",
            ));
        };
        let identity = self.identity()?;
        let identity = identity.as_ref().map(|(cert, key)| (&**cert, &**key));
        let tls = Tls::new(&authority, identity)?;
        match &self.tls_hostname {
            Some(name) => Ok(tls.server_name(name)?),
            None => Ok(tls),
        }
    }

    /// For listening.
    #[must_use]
    pub fn server(&self, verify_peer: bool) -> Option<TlsFiles> {
        let dir = self.tls.clone()?;
        Some(TlsFiles { dir, verify_peer })
    }

    fn authority(&self) -> Option<PathBuf> {
        let own = self.tls_ca.clone();
        own.or_else(|| Some(self.tls.as_ref()?.join("ca-cert.pem")))
    }

    fn identity(&self) -> Result<Option<(PathBuf, PathBuf)>, Error> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Ok(Some((certificate.clone(), key.clone()))),
            (None, None) => Ok(self.own_identity()),
            _ => Err(Error::usage("--tls-cert and --tls-key need each other")),
        }
    }

    /// That of the directory, which need not have one.
    fn own_identity(&self) -> Option<(PathBuf, PathBuf)> {
        let directory = self.tls.as_ref()?;
        let certificate = directory.join("client-cert.pem");
        let key = directory.join("client-key.pem");
        certificate.exists().then_some((certificate, key))
    }
}
