//! RFC 8291: only the browser can read what the push service carries.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ring::{
    aead::{self, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{self, EphemeralPrivateKey, UnparsedPublicKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
};

/// The most that fits into one record of 4,096 bytes with its header, padding and tag.
pub const MAX_PLAINTEXT_BYTES: usize = 3_993;
const RECORD_BYTES: u32 = 4_096;
const PUBLIC_KEY_BYTES: usize = 65;
const AUTH_BYTES: usize = 16;
const SALT_BYTES: usize = 16;

/// Browsers write without padding; some libraries with it.
pub const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A browser's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    public: [u8; PUBLIC_KEY_BYTES],
    auth: [u8; AUTH_BYTES],
}

/// Why nothing could be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unencrypted {
    #[error("the subscription has no usable keys")]
    Keys,
    #[error("the payload is too long")]
    TooLong,
    #[error("the system gives no randomness")]
    Random,
}

impl Keys {
    /// From base64url.
    ///
    /// # Errors
    /// If they are not keys.
    pub fn parse(p256dh: &str, auth: &str) -> Result<Self, Unencrypted> {
        let public = BASE64.decode(p256dh).ok().and_then(|bytes| bytes.try_into().ok());
        let auth = BASE64.decode(auth).ok().and_then(|bytes| bytes.try_into().ok());
        let (Some(public), Some(auth)) = (public, auth) else { return Err(Unencrypted::Keys) };
        Ok(Self { public, auth })
    }
}

/// The body of a push: `aes128gcm` with a key of its own.
///
/// # Errors
/// If it is too long, or the browser's key is not on the curve.
pub fn encrypt(keys: &Keys, plaintext: &[u8]) -> Result<Vec<u8>, Unencrypted> {
    let random = SystemRandom::new();
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt).map_err(|_| Unencrypted::Random)?;
    let ours = EphemeralPrivateKey::generate(&agreement::ECDH_P256, &random)
        .map_err(|_| Unencrypted::Random)?;
    let our_public = ours.compute_public_key().map_err(|_| Unencrypted::Random)?;
    let theirs = UnparsedPublicKey::new(&agreement::ECDH_P256, keys.public);
    agreement::agree_ephemeral(ours, &theirs, |secret| {
        seal(keys, secret, our_public.as_ref(), &salt, plaintext)
    })
    .map_err(|_| Unencrypted::Keys)?
}

/// Everything but the choice of key and salt.
fn seal(
    keys: &Keys,
    ecdh_secret: &[u8],
    our_public: &[u8],
    salt: &[u8; SALT_BYTES],
    plaintext: &[u8],
) -> Result<Vec<u8>, Unencrypted> {
    if plaintext.len() > MAX_PLAINTEXT_BYTES {
        return Err(Unencrypted::TooLong);
    }
    // HKDF of one block each: HMAC over the info and a counter of 1.
    let key_info = [b"WebPush: info\0", keys.public.as_slice(), our_public, b"\x01"].concat();
    let input_key = mac(mac(&keys.auth, ecdh_secret).as_ref(), &key_info);
    let pseudorandom = mac(salt, input_key.as_ref());
    let key = mac(pseudorandom.as_ref(), b"Content-Encoding: aes128gcm\0\x01");
    let nonce = mac(pseudorandom.as_ref(), b"Content-Encoding: nonce\0\x01");

    let mut content = plaintext.to_vec();
    // The sign of the last record.
    content.push(2);
    let failed = |_| Unencrypted::Keys;
    let key = UnboundKey::new(&aead::AES_128_GCM, first(key.as_ref(), 16)).map_err(failed)?;
    let nonce = Nonce::try_assume_unique_for_key(first(nonce.as_ref(), 12)).map_err(failed)?;
    LessSafeKey::new(key)
        .seal_in_place_append_tag(nonce, Aad::empty(), &mut content)
        .map_err(failed)?;

    let id_bytes = u8::try_from(our_public.len()).map_err(|_| Unencrypted::Keys)?;
    Ok([salt, RECORD_BYTES.to_be_bytes().as_slice(), &[id_bytes], our_public, &content].concat())
}

fn mac(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

fn first(bytes: &[u8], count: usize) -> &[u8] {
    bytes.get(..count).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8291, section 5 and appendix A.
    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let keys = Keys::parse(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "BTBZMqHH6r4Tts7J_aSIgg",
        )
        .unwrap();
        let secret = BASE64.decode("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs").unwrap();
        let ours = BASE64
            .decode("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8")
            .unwrap();
        let salt = BASE64.decode("DGv6ra1nlYgDCS1FRnbzlw").unwrap().try_into().unwrap();
        let text = b"When I grow up, I want to be a watermelon";
        let body = seal(&keys, &secret, &ours, &salt, text).unwrap();
        assert_eq!(
            BASE64.encode(body),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz\
             AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let good = BASE64.encode([4; 65]);
        let auth = BASE64.encode([1; 16]);
        for (p256dh, auth) in [
            ("", &*auth),
            (&good, ""),
            ("!", &auth),
            (&good, "AAAA"),
            (&BASE64.encode([4; 64]), &auth),
        ] {
            assert_eq!(Keys::parse(p256dh, auth), Err(Unencrypted::Keys));
        }
        // The right length, but no point of the curve.
        let keys = Keys::parse(&good, &auth).unwrap();
        assert_eq!(encrypt(&keys, b"x"), Err(Unencrypted::Keys));
    }

    #[test]
    fn a_push_has_one_record_at_most() {
        let keys = Keys::parse(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "BTBZMqHH6r4Tts7J_aSIgg==",
        )
        .unwrap();
        assert_eq!(encrypt(&keys, &[b'x'; MAX_PLAINTEXT_BYTES]).unwrap().len(), 4_096);
        let over = [b'x'; MAX_PLAINTEXT_BYTES + 1];
        assert_eq!(encrypt(&keys, &over), Err(Unencrypted::TooLong));
    }
}
