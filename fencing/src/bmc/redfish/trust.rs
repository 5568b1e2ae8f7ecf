//! Whose certificate is the BMC's.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};

/// Which certificates are believed. There is no variant for "any".
#[derive(Clone, PartialEq, Eq)]
pub enum Trust {
    /// Exactly the one with this SHA-256 fingerprint. Needs no clock, no name and no authority.
    Pinned([u8; 32]),
    /// Those that one of these authorities signed, for the BMC's address or name, and that have not
    /// expired by this machine's clock.
    Authorities(Vec<CertificateDer<'static>>),
}

/// Why nothing can be trusted by this. The inventory is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not 32 bytes in hexadecimal digits.
    #[error("must be a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons")]
    Fingerprint,
    /// No certificate in the file, or one that is none.
    #[error("no PEM certificate of an authority in it: {0}")]
    Authorities(String),
}

impl Trust {
    /// A pinned certificate, by a fingerprint as `openssl x509 -fingerprint -sha256` writes it.
    ///
    /// # Errors
    /// [`Unusable`]: it is none.
    pub fn pinned(text: &str) -> Result<Self, Unusable> {
        let text = text.trim();
        let digits: String = text.rsplit('=').next().unwrap_or(text).split(':').collect();
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Unusable::Fingerprint);
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            let pair = digits.get(at..at + 2).unwrap_or_default();
            *byte = u8::from_str_radix(pair, 16).map_err(|_| Unusable::Fingerprint)?;
        }
        Ok(Self::Pinned(bytes))
    }

    /// The authorities of a PEM file.
    ///
    /// # Errors
    /// [`Unusable`]: there is none in it, or something else than certificates.
    pub fn authorities(pem: &[u8]) -> Result<Self, Unusable> {
        let wrong = |why: String| Unusable::Authorities(why);
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let found = found.map_err(|error| wrong(format!("{error:?}")))?;
        if found.is_empty() {
            return Err(wrong("it is empty".into()));
        }
        store(&found).map_err(wrong)?;
        Ok(Self::Authorities(found))
    }

    /// The fingerprint of a certificate.
    pub fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
        Sha256::digest(certificate.as_ref()).into()
    }

    /// What TLS is to do with it.
    pub(super) fn config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(match self {
            Self::Pinned(fingerprint) => {
                let verifier = Arc::new(Pin { fingerprint: *fingerprint, provider });
                builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
            }
            Self::Authorities(authorities) => {
                builder.with_root_certificates(store(authorities)?).with_no_client_auth()
            }
        })
    }
}

fn store(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for authority in authorities {
        store.add(authority.clone()).map_err(|error| error.to_string())?;
    }
    Ok(store)
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned(fingerprint) => {
                f.write_str("pinned ")?;
                fingerprint.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Authorities(list) => write!(f, "{} authorities", list.len()),
        }
    }
}

/// Takes one certificate and no other. That the peer holds its key is still proven by the handshake.
#[derive(Debug)]
struct Pin {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Trust::fingerprint(end_entity) == self.fingerprint {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_openssl_writes_it() {
        let plain = "ab".repeat(32);
        let colons = ["AB"; 32].join(":");
        let whole = format!("sha256 Fingerprint={colons}\n");
        for text in [&plain, &colons, &whole] {
            assert_eq!(Trust::pinned(text), Ok(Trust::Pinned([0xab; 32])), "{text}");
        }
        for text in ["", "ab", &"zz".repeat(32), &"ab".repeat(20)] {
            assert_eq!(Trust::pinned(text), Err(Unusable::Fingerprint), "{text}");
        }
    }

    #[test]
    fn a_file_without_an_authority_is_refused() {
        for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            let said = Trust::authorities(pem.as_bytes());
            assert!(matches!(said, Err(Unusable::Authorities(_))), "{pem}: {said:?}");
        }
    }
}
