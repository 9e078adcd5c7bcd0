//! Client certificates. In: the PEM chain and key. Out: the two apart; proven between: there is a chain, there is one
//! private key, and it is the one of the first certificate.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::error::SecretError;
use crate::jwt::SigningKey;
use crate::secret::Secrets;
use crate::text::JwtAlgorithm;

/// Chain and key, each PEM.
pub(crate) struct ClientCertificate {
    pub(crate) chain: Zeroizing<Vec<u8>>,
    pub(crate) key: Zeroizing<Vec<u8>>,
}

impl ClientCertificate {
    pub(crate) fn parse(secret: &[u8]) -> Result<(Self, Secrets), SecretError> {
        let bad = |why| SecretError::Certificate { why };
        let text = std::str::from_utf8(secret).map_err(|_| bad("it is not text"))?;
        let (mut chain, mut key) = (Zeroizing::new(Vec::new()), Zeroizing::new(Vec::new()));
        chain.reserve_exact(text.len());
        key.reserve_exact(text.len());
        for block in blocks(text) {
            let (label, block) = block.ok_or(bad("a PEM block has no end"))?;
            match label {
                "CERTIFICATE" => {
                    chain.extend_from_slice(block.as_bytes());
                    chain.push(b'\n');
                }
                "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" if key.is_empty() => {
                    key.extend_from_slice(block.as_bytes());
                    key.push(b'\n');
                }
                "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => return Err(bad("it has two private keys")),
                "ENCRYPTED PRIVATE KEY" => return Err(bad("its private key is encrypted")),
                // `openssl ecparam -genkey` writes the name of the curve in front of the key.
                "EC PARAMETERS" => {}
                _ => return Err(bad("it has a PEM block that is neither a certificate nor a private key")),
            }
        }
        if chain.is_empty() {
            return Err(bad("it has no certificate"));
        }
        if key.is_empty() {
            return Err(bad("it has no private key"));
        }
        let leaf = CertificateDer::from_pem_slice(&chain).map_err(|_| bad("its certificate is not one"))?;
        if !SUPPORTED.into_iter().any(|algorithm| is_key_of(algorithm, &key, &leaf)) {
            return Err(bad("the private key is not the one of the first certificate, or of an unknown kind"));
        }
        let secrets = Secrets::of(secret).and(key.trim_ascii());
        Ok((Self { chain, key }, secrets))
    }
}

/// Whether the key's public half stands in the certificate.
fn is_key_of(algorithm: JwtAlgorithm, key: &[u8], leaf: &CertificateDer<'_>) -> bool {
    let Ok(key) = SigningKey::load(algorithm, key) else { return false };
    key.public().is_some_and(|public| leaf.windows(public.len()).any(|window| window == &*public))
}

/// One for each kind of key that TLS is spoken with.
const SUPPORTED: [JwtAlgorithm; 4] =
    [JwtAlgorithm::ES256, JwtAlgorithm::RS256, JwtAlgorithm::ES384, JwtAlgorithm::EdDSA];

/// The PEM blocks of a text with their labels; `None` for one that does not end.
fn blocks(text: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find("-----BEGIN ")?;
        let from = rest.get(start..)?;
        let block = || {
            let label = from.strip_prefix("-----BEGIN ")?.split_once("-----")?.0;
            let end = format!("-----END {label}-----");
            let len = from.find(&end)? + end.len();
            Some((label, from.split_at_checked(len)?))
        };
        match block() {
            Some((label, (block, after))) => {
                rest = after;
                Some(Some((label, block)))
            }
            None => {
                rest = "";
                Some(None)
            }
        }
    })
}

#[cfg(test)]
mod tests;
