//! Providers for tests: servers that answer as they are told, and keep what they got.
//!
//! Whatever goes wrong in them panics: a test whose server does not work has failed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod http_server;
mod receiver;
mod smtp_server;

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

pub use http_server::{HttpServer, Reply, Seen};
pub use receiver::believed;
pub use smtp_server::{Fate, Letter, SmtpServer};

/// For `localhost`, and its certificate in PEM, which nobody else trusts.
fn tls() -> (TlsAcceptor, String) {
    let names = vec!["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), cert.pem())
}
