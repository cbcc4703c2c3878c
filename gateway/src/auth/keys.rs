//! The keys that the marketplace signs with, each bound to its one algorithm.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};

/// The shortest HS256 secret: as long as its hash (RFC 7518, section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("a secret of at least {MIN_SECRET_BYTES} bytes is needed")]
    ShortSecret,
    #[error("not the PEM of an Ed25519 public key")]
    Pem,
    #[error("not a JSON Web Key Set: {0}")]
    Jwks(#[from] serde_json::Error),
    #[error("the JSON Web Key Set holds no public key for signatures that is supported")]
    Empty,
}

/// One key and the one algorithm that it is used with.
#[derive(Debug, Clone)]
pub struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

impl Key {
    pub fn hs256(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(KeyError::ShortSecret);
        }
        let decoding = DecodingKey::from_secret(secret);
        Ok(Self { id: None, algorithm: Algorithm::HS256, decoding })
    }

    /// From `-----BEGIN PUBLIC KEY-----`.
    pub fn ed25519_pem(pem: &str) -> Result<Self, KeyError> {
        let decoding = DecodingKey::from_ed_pem(pem.as_bytes()).map_err(|_| KeyError::Pem)?;
        // The parser also takes private keys, which have no business here.
        if decoding.try_get_as_bytes().map_or(0, <[u8]>::len) != 32 || pem.contains("PRIVATE") {
            return Err(KeyError::Pem);
        }
        Ok(Self { id: None, algorithm: Algorithm::EdDSA, decoding })
    }

    /// `None` for a key that is not for signatures, is symmetric, or is of an unknown sort.
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        if jwk.common.public_key_use.as_ref().is_some_and(|r#use| *r#use != PublicKeyUse::Signature)
        {
            return None;
        }
        let algorithm = algorithm_of(jwk)?;
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self { id: jwk.common.key_id.clone(), algorithm, decoding })
    }

    /// Whether a token that names this key and algorithm may have been signed with it.
    fn fits(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        self.algorithm == algorithm
            && match (&self.id, id) {
                (Some(own), Some(named)) => own == named,
                (None, _) | (_, None) => true,
            }
    }
}

/// The algorithm of a key: what it says, provided that the kind of key can do it, or else the
/// usual one of its kind.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    let possible: &[(KeyAlgorithm, Algorithm)] = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            &[(KeyAlgorithm::EdDSA, Algorithm::EdDSA)]
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            &[(KeyAlgorithm::ES256, Algorithm::ES256)]
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => {
            &[(KeyAlgorithm::ES384, Algorithm::ES384)]
        }
        AlgorithmParameters::RSA(_) => &[
            (KeyAlgorithm::RS256, Algorithm::RS256),
            (KeyAlgorithm::RS384, Algorithm::RS384),
            (KeyAlgorithm::RS512, Algorithm::RS512),
            (KeyAlgorithm::PS256, Algorithm::PS256),
        ],
        // A secret in a key set is a mistake, or an attack: whoever can read it can sign.
        AlgorithmParameters::OctetKey(_)
        | AlgorithmParameters::OctetKeyPair(_)
        | AlgorithmParameters::EllipticCurve(_)
        | AlgorithmParameters::Other(_)
        | _ => &[],
    };
    match &jwk.common.key_algorithm {
        None => possible.first().map(|(_, algorithm)| *algorithm),
        Some(said) => possible.iter().find(|(name, _)| name == said).map(|(_, found)| *found),
    }
}

/// Some keys; which one a token was signed with is found by its `kid` and `alg`.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// From the JSON of a JSON Web Key Set; keys that cannot be used are left out.
    pub fn from_jwks(json: &[u8]) -> Result<Self, KeyError> {
        let set: JwkSet = serde_json::from_slice(json)?;
        let keys: Vec<Key> = set.keys.iter().filter_map(Key::from_jwk).collect();
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self { keys }) }
    }

    pub fn push(&mut self, key: Key) {
        self.keys.push(key);
    }

    pub fn append(&mut self, mut other: Self) {
        self.keys.append(&mut other.keys);
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn candidates<'a>(
        &'a self,
        id: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a Key> {
        self.keys.iter().filter(move |key| key.fits(id, algorithm))
    }
}

impl FromIterator<Key> for KeySet {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        Self { keys: keys.into_iter().collect() }
    }
}
