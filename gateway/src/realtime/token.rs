//! Sync tokens: a position in every shard of the log, opaque to clients.
//!
//! Two forms. A *settled* token says: everything up to these positions has been sent. A *paging*
//! token stands in the middle of the pages of one sync: where the pages begin, the positions that
//! the first page was read at, and where the next page begins. Bytes, base64url without padding:
//!
//! ```text
//! form (1 byte) · epoch (16 bytes) · varints and texts · check (4 bytes)
//! ```
//!
//! A token that does not fit (corrupt, of another deployment, of another number of shards) is no
//! token: the device is given everything again. It is never an error, as there is nothing that a
//! client could do about it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

/// A position for each shard.
pub type Positions = Box<[u64]>;

const SETTLED: u8 = 1;
const PAGING: u8 = 2;
/// In front of the positions of a paging token: whether there was a `since`.
const FROM_NOTHING: u8 = 0;
const FROM_POSITIONS: u8 = 1;
/// Far more than any token that was ever given out.
const MAX_TOKEN_BYTES: usize = 32 * 1_024;

/// Where a device stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    Settled(Positions),
    Paging(Paging),
}

impl Token {
    /// The furthest position that it names in each shard.
    pub fn furthest(&self) -> Positions {
        match self {
            Self::Settled(positions) => positions.clone(),
            Self::Paging(paging) => match &paging.since {
                None => paging.base.clone(),
                Some(since) => since.iter().zip(&paging.base).map(|(a, b)| *a.max(b)).collect(),
            },
        }
    }
}

/// In the middle of the pages of one sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// Only what changed after it is given; everything if there is none.
    pub since: Option<Positions>,
    /// What the first page was read at: live events go on from here.
    pub base: Positions,
    /// The projections' own name of the next page.
    pub cursor: Box<str>,
}

/// Writes and reads the tokens of one deployment.
#[derive(Debug, Clone, Copy)]
pub struct Codec {
    epoch: Uuid,
    shards: usize,
}

impl Codec {
    pub fn new(epoch: Uuid, shards: u16) -> Self {
        Self { epoch, shards: usize::from(shards) }
    }

    pub fn shards(&self) -> usize {
        self.shards
    }

    pub fn settled(&self, positions: &[u64]) -> String {
        let mut bytes = self.head(SETTLED);
        write_positions(&mut bytes, positions);
        seal(bytes)
    }

    pub fn paging(&self, paging: &Paging) -> String {
        let mut bytes = self.head(PAGING);
        match &paging.since {
            None => bytes.push(FROM_NOTHING),
            Some(since) => {
                bytes.push(FROM_POSITIONS);
                write_positions(&mut bytes, since);
            }
        }
        write_positions(&mut bytes, &paging.base);
        bytes.extend_from_slice(paging.cursor.as_bytes());
        seal(bytes)
    }

    /// `None` for anything that this deployment would not have written.
    pub fn read(&self, token: &str) -> Option<Token> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (bytes, check) = bytes.split_last_chunk::<4>()?;
        if checksum(bytes) != *check {
            return None;
        }
        let (form, bytes) = bytes.split_first()?;
        let (epoch, mut rest) = bytes.split_first_chunk::<16>()?;
        if epoch != self.epoch.as_bytes() {
            return None;
        }
        match *form {
            SETTLED => {
                let positions = self.read_positions(&mut rest)?;
                rest.is_empty().then_some(Token::Settled(positions))
            }
            PAGING => {
                let (from, after) = rest.split_first()?;
                rest = after;
                let since = match *from {
                    FROM_NOTHING => None,
                    FROM_POSITIONS => Some(self.read_positions(&mut rest)?),
                    _ => return None,
                };
                let base = self.read_positions(&mut rest)?;
                let cursor = std::str::from_utf8(rest).ok()?.into();
                Some(Token::Paging(Paging { since, base, cursor }))
            }
            _ => None,
        }
    }

    fn head(&self, form: u8) -> Vec<u8> {
        // Three bytes hold positions up to two million, the usual case by far for a young log.
        let mut bytes = Vec::with_capacity(1 + 16 + 1 + self.shards * 4 + 4);
        bytes.push(form);
        bytes.extend_from_slice(self.epoch.as_bytes());
        bytes
    }

    fn read_positions(&self, bytes: &mut &[u8]) -> Option<Positions> {
        let shards = read_varint(bytes)?;
        if shards != self.shards as u64 {
            return None;
        }
        (0..self.shards).map(|_| read_varint(bytes)).collect()
    }
}

fn write_positions(bytes: &mut Vec<u8>, positions: &[u64]) {
    write_varint(bytes, positions.len() as u64);
    for position in positions {
        write_varint(bytes, *position);
    }
}

/// LEB128: seven bits a byte, the lowest first.
fn write_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn seal(mut bytes: Vec<u8>) -> String {
    let check = checksum(&bytes);
    bytes.extend_from_slice(&check);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// FNV-1a, folded: finds a cut or mistyped token. It keeps nobody from forging one, and need not:
/// a token gives access to nothing.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
    [a ^ e, b ^ f, c ^ g, d ^ h]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EPOCH: Uuid = Uuid::from_u128(0x0193_e5a0_7b1c_7def_8123_4567_89ab_cdef);

    fn codec(shards: u16) -> Codec {
        Codec::new(EPOCH, shards)
    }

    fn positions(shards: usize) -> impl Strategy<Value = Positions> {
        proptest::collection::vec(prop_oneof![0..10_000_u64, any::<u64>()], shards)
            .prop_map(Vec::into_boxed_slice)
    }

    fn token(shards: usize) -> impl Strategy<Value = Token> {
        prop_oneof![
            positions(shards).prop_map(Token::Settled),
            (proptest::option::of(positions(shards)), positions(shards), "\\PC{0,80}").prop_map(
                |(since, base, cursor)| Token::Paging(Paging {
                    since,
                    base,
                    cursor: cursor.into()
                })
            ),
        ]
    }

    fn write(codec: Codec, token: &Token) -> String {
        match token {
            Token::Settled(positions) => codec.settled(positions),
            Token::Paging(paging) => codec.paging(paging),
        }
    }

    proptest! {
        #[test]
        fn a_token_is_read_as_it_was_written(token in token(4)) {
            let text = write(codec(4), &token);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(codec(4).read(&text), Some(token));
        }

        #[test]
        fn a_token_of_another_deployment_or_shard_count_is_none(token in token(4)) {
            let text = write(codec(4), &token);
            prop_assert_eq!(codec(3).read(&text), None);
            prop_assert_eq!(codec(5).read(&text), None);
            prop_assert_eq!(Codec::new(Uuid::nil(), 4).read(&text), None);
        }

        #[test]
        fn a_damaged_token_is_none(token in token(2), at in any::<prop::sample::Index>(), by in 1..=255_u8) {
            let text = write(codec(2), &token);
            let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            prop_assert_eq!(codec(2).read(&URL_SAFE_NO_PAD.encode(&bytes)), None);
            bytes[at] ^= by;
            bytes.truncate(at);
            prop_assert_eq!(codec(2).read(&URL_SAFE_NO_PAD.encode(&bytes)), None);
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC*", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(codec(4).read(&text), None);
            prop_assert_eq!(codec(4).read(&URL_SAFE_NO_PAD.encode(&bytes)), None);
            // Also behind the checksum.
            let mut bytes = bytes;
            bytes.splice(0..0, [PAGING].into_iter().chain(*EPOCH.as_bytes()));
            codec(4).read(&seal(bytes));
        }
    }

    #[test]
    fn a_token_is_short() {
        assert_eq!(codec(4).settled(&[1_000_000; 4]).len(), 46);
    }
}
