//! What a TLS connection is made with: trusted roots, and a certificate of our own where one is asked for.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::policy::TlsSettings;

/// Files of TLS that cannot be used.
#[derive(Debug, thiserror::Error)]
enum TlsError {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: pem::Error },
    #[error("{path} holds no certificate")]
    Empty { path: String },
    #[error("the certificate and its key cannot be used: {0}")]
    Identity(#[source] rustls::Error),
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |source| TlsError::Read { path: path.display().to_string(), source };
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(read)?;
    if found.is_empty() {
        return Err(TlsError::Empty { path: path.display().to_string() });
    }
    Ok(found)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// For a connection of our own. The files are read each time that one is made, since they may have been renewed.
///
/// # Errors
///
/// When a file cannot be read, or holds something else.
pub(super) fn client(settings: &TlsSettings) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    // Of a system's roots one or the other may be of a kind that is not understood.
    roots.add_parsable_certificates(certificates(&settings.roots)?);
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config.map_err(TlsError::Identity)?.with_root_certificates(roots);
    let config = match &settings.identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let read = |source| TlsError::Read { path: key.display().to_string(), source };
            let private = PrivateKeyDer::from_pem_file(key).map_err(read)?;
            config.with_client_auth_cert(certificates(certificate)?, private).map_err(TlsError::Identity)?
        }
    };
    Ok(Arc::new(config))
}

/// For a client of HTTP.
///
/// # Errors
///
/// When a file cannot be read, or holds something else.
pub(super) fn http(settings: &TlsSettings) -> io::Result<TlsConfig> {
    let certificates = |path: &Path| -> Result<Vec<Certificate<'static>>, TlsError> {
        Ok(certificates(path)?.iter().map(|found| Certificate::from_der(found).to_owned()).collect())
    };
    let identity = match &settings.identity {
        None => None,
        Some((certificate, key)) => {
            let private = PrivateKey::from_pem(&std::fs::read(key)?).map_err(ureq::Error::into_io)?;
            Some(ClientCert::new_with_certs(&certificates(certificate)?, private))
        }
    };
    let config = TlsConfig::builder().unversioned_rustls_crypto_provider(provider());
    let roots = RootCerts::new_with_certs(&certificates(&settings.roots)?);
    Ok(config.root_certs(roots).client_cert(identity).build())
}
