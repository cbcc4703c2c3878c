//! The cryptography of tokens, by ring, which TLS brings along anyway.
//!
//! jsonwebtoken's own backends would add a C build (aws-lc) or the `rsa` crate, whose private key
//! operations leak timing. Only what the gateway needs is here: it signs HS256 and checks HS256,
//! EdDSA and the public algorithms that identity providers use.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    signature::{self, Signer, Verifier},
};
use ring::{hmac, signature as ring_signature};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes ring the provider of this process. Calling it again changes nothing.
pub(super) fn install() {
    // An error says that a provider is installed already; this one, as the workspace has no other.
    let _ = PROVIDER.install_default();
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    if *algorithm != Algorithm::HS256 || key.family() != AlgorithmFamily::Hmac {
        return Err(ErrorKind::UnsupportedAlgorithm.into());
    }
    Ok(Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()))))
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if key.family() == AlgorithmFamily::Hmac {
        if *algorithm != Algorithm::HS256 {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        let secret = hmac::Key::new(hmac::HMAC_SHA256, key.try_get_as_bytes()?);
        return Ok(Box::new(Hs256(secret)));
    }
    let check = match (key.family(), algorithm) {
        (AlgorithmFamily::Ed, Algorithm::EdDSA) => Check::Plain(&ring_signature::ED25519),
        (AlgorithmFamily::Ec, Algorithm::ES256) => {
            Check::Plain(&ring_signature::ECDSA_P256_SHA256_FIXED)
        }
        (AlgorithmFamily::Ec, Algorithm::ES384) => {
            Check::Plain(&ring_signature::ECDSA_P384_SHA384_FIXED)
        }
        (AlgorithmFamily::Rsa, Algorithm::RS256) => {
            Check::Rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA256)
        }
        (AlgorithmFamily::Rsa, Algorithm::RS384) => {
            Check::Rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA384)
        }
        (AlgorithmFamily::Rsa, Algorithm::RS512) => {
            Check::Rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA512)
        }
        (AlgorithmFamily::Rsa, Algorithm::PS256) => {
            Check::Rsa(&ring_signature::RSA_PSS_2048_8192_SHA256)
        }
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    Ok(Box::new(PublicKey { algorithm: *algorithm, key: key.clone(), check }))
}

struct Hs256(hmac::Key);

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    /// In constant time.
    fn verify(&self, message: &[u8], tag: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, tag).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[derive(Clone, Copy)]
enum Check {
    Plain(&'static dyn ring_signature::VerificationAlgorithm),
    Rsa(&'static ring_signature::RsaParameters),
}

struct PublicKey {
    algorithm: Algorithm,
    key: DecodingKey,
    check: Check,
}

impl Verifier<Vec<u8>> for PublicKey {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), signature::Error> {
        let checked = match (self.key.kind(), self.check) {
            (DecodingKeyKind::SecretOrDer(bytes), Check::Plain(algorithm)) => {
                ring_signature::UnparsedPublicKey::new(algorithm, bytes).verify(message, signed)
            }
            (DecodingKeyKind::SecretOrDer(bytes), Check::Rsa(parameters)) => {
                ring_signature::UnparsedPublicKey::new(parameters, bytes).verify(message, signed)
            }
            (DecodingKeyKind::RsaModulusExponent { n, e }, Check::Rsa(parameters)) => {
                ring_signature::RsaPublicKeyComponents { n, e }.verify(parameters, message, signed)
            }
            (DecodingKeyKind::RsaModulusExponent { .. }, Check::Plain(_)) => {
                Err(ring::error::Unspecified)
            }
        };
        checked.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for PublicKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
