//! `tls-creds-x509`: certificates and keys for TLS.

use tinamou_api as api;
use tinamou_chardev::{Endpoint, TlsCreds, TlsFiles};
use tinamou_qmp::{Error, Result, Value};
use tinamou_qom::Property;

use super::user::UserType;
use crate::backends;

/// The type.
pub const TYPE: UserType = UserType {
    name: "tls-creds-x509",
    parent: "tls-creds",
    properties: &[
        ("dir", "string", None),
        ("endpoint", "QCryptoTLSCredsEndpoint", None),
        ("verify-peer", "bool", None),
    ],
};

/// Credentials and where they came from.
pub struct TlsCredsX509 {
    creds: TlsCreds,
    dir: String,
    endpoint: api::QCryptoTLSCredsEndpoint,
    verify_peer: bool,
}

impl TlsCredsX509 {
    /// Loads the files.
    ///
    /// # Errors
    /// One is missing or makes no sense.
    pub fn load(options: &api::TlsCredsX509Properties) -> Result<Self> {
        let dir = options.base.dir.clone().filter(|dir| !dir.is_empty());
        let dir = dir.ok_or_else(|| Error::generic("Missing 'dir' property value"))?;
        let endpoint = options.base.endpoint;
        let endpoint = endpoint.unwrap_or(api::QCryptoTLSCredsEndpoint::Client);
        let files = TlsFiles {
            dir: (&dir).into(),
            endpoint: match endpoint {
                api::QCryptoTLSCredsEndpoint::Client => Endpoint::Client,
                api::QCryptoTLSCredsEndpoint::Server => Endpoint::Server,
            },
            verify_peer: options.base.verify_peer.unwrap_or(true),
        };
        Ok(Self {
            creds: TlsCreds::load(&files).map_err(backends::error)?,
            dir,
            endpoint,
            verify_peer: files.verify_peer,
        })
    }

    /// What connections use.
    pub fn creds(&self) -> &TlsCreds {
        &self.creds
    }

    pub(super) fn properties(&self) -> Vec<(&'static str, Property)> {
        let text = |text: &str| Value::String(text.to_owned());
        let endpoint = text(self.endpoint.as_str());
        vec![
            ("dir", Property::constant("string", text(&self.dir))),
            (
                "endpoint",
                Property::constant("QCryptoTLSCredsEndpoint", endpoint),
            ),
            (
                "verify-peer",
                Property::constant("bool", Value::Bool(self.verify_peer)),
            ),
        ]
    }
}
