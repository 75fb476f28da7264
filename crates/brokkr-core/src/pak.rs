//! Prefixed API keys: `brokkr_BR<short>_<long>`.
//!
//! The short part finds the key and is safe to log. The long part is the secret; only its SHA-256 is kept, which is enough
//! for a value of 192 random bits (a slow hash protects guessable passwords, which these are not).

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const PREFIX: &str = "brokkr_BR";
const SHORT_CHARACTERS: usize = 8;
const SHORT_CHARACTERS_ALLOWED: std::ops::RangeInclusive<usize> = 6..=16;
const LONG_CHARACTERS_ALLOWED: std::ops::RangeInclusive<usize> = 24..=64;
/// Base58: no `0`, `O`, `I` or `l`, which people take for one another.
const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// The part of a key that finds it: 6 to 16 base58 characters, 8 in keys made here. Safe to log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortPart(String);

impl ShortPart {
    /// Checks a short part that came from outside. `None` when it cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_base58(text, &SHORT_CHARACTERS_ALLOWED).then(|| Self(text.to_owned()))
    }

    /// The characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShortPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SHA-256 of a long part. Compared in constant time; it is a secret's shadow, so `Debug` hides it.
#[derive(Clone, Copy)]
pub struct PakHash([u8; 32]);

impl PakHash {
    /// Reads 64 hexadecimal digits. `None` when they are not.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0_u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = (high * 16 + low) as u8;
        }
        Some(Self(bytes))
    }

    /// Lower-case hexadecimal, as it is stored.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl PartialEq for PakHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for PakHash {}

impl fmt::Debug for PakHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PakHash(..)")
    }
}

/// A whole key. It exists in the clear only where it is made, shown once, and checked; `Debug` hides the long part.
#[derive(Clone, PartialEq, Eq)]
pub struct Pak {
    short: ShortPart,
    long: String,
}

/// A text that is not a key. It does not carry the text: that may be a key with a typing error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key of the form brokkr_BR<short>_<long>")]
pub struct MalformedPak;

impl Pak {
    /// Makes a key of 32 random bytes: 8 for the short part, 24 for the long one.
    #[must_use]
    pub fn from_random(random: [u8; 32]) -> Self {
        let (for_short, for_long) = random.split_at(8);
        let mut number = for_short
            .iter()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let short = (0..SHORT_CHARACTERS)
            .map(|_| {
                let digit = (number % 58) as usize;
                number /= 58;
                char::from(ALPHABET[digit])
            })
            .collect();
        let mut long = bs58::encode(for_long).into_string();
        // Leading zero bytes make a shorter text; the bound on what is accepted must hold for every key made here.
        while long.len() < 32 {
            long.insert(0, char::from(ALPHABET[0]));
        }
        Self {
            short: ShortPart(short),
            long,
        }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`MalformedPak`] when it is not of the form `brokkr_BR<short>_<long>` with base58 parts.
    pub fn parse(text: &str) -> Result<Self, MalformedPak> {
        let (short, long) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .ok_or(MalformedPak)?;
        let short = ShortPart::parse(short).ok_or(MalformedPak)?;
        if !is_base58(long, &LONG_CHARACTERS_ALLOWED) {
            return Err(MalformedPak);
        }
        Ok(Self {
            short,
            long: long.to_owned(),
        })
    }

    /// The part that finds the key.
    #[must_use]
    pub fn short(&self) -> &ShortPart {
        &self.short
    }

    /// What is stored of the long part: the SHA-256 of its text.
    #[must_use]
    pub fn hash(&self) -> PakHash {
        PakHash(Sha256::digest(self.long.as_bytes()).into())
    }

    /// The whole key in the clear, to be shown once or sent to the broker.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.short, self.long)
    }
}

impl fmt::Debug for Pak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pak({}, ..)", self.short)
    }
}

fn is_base58(text: &str, characters: &std::ops::RangeInclusive<usize>) -> bool {
    characters.contains(&text.len()) && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hash_is_the_sha_256_of_the_long_parts_text() {
        let pak = Pak::parse("brokkr_BRabcdefgh_abcdefghijkmnopqrstuvwxyz").unwrap();
        // printf abcdefghijkmnopqrstuvwxyz | sha256sum
        assert_eq!(
            pak.hash().to_hex(),
            "574b2479d739c434f7b0531232884ede6d9e7bcd6ef23d4ad1d0812a2892c7d0"
        );
    }

    #[test]
    fn the_long_part_never_shows_in_debug() {
        let pak = Pak::from_random([7; 32]);
        let shown = format!("{pak:?} {:?}", pak.hash());
        assert!(!shown.contains(&pak.long) && !shown.contains(&pak.hash().to_hex()));
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        let long = "a".repeat(24);
        for text in [
            "",
            "brokkr_BR",
            "brokkr_BRabcdefgh",
            &format!("brokkr_BRabc0efgh_{long}"),
            &format!("BRabcdefgh_{long}"),
            &format!("brokkr_BRabcdefgh_{long} "),
            "brokkr_BRabcdefgh_short",
            &format!("brokkr_BRabcdefgh_{}", "a".repeat(65)),
        ] {
            assert_eq!(Pak::parse(text), Err(MalformedPak), "{text}");
        }
    }

    #[test]
    fn the_references_six_character_short_parts_are_understood() {
        assert!(Pak::parse(&format!("brokkr_BRabcdef_{}", "a".repeat(32))).is_ok());
    }

    proptest! {
        #[test]
        fn every_made_key_reads_back_as_itself(random in any::<[u8; 32]>()) {
            let pak = Pak::from_random(random);
            let read = Pak::parse(&pak.reveal()).unwrap();
            prop_assert_eq!(read.hash(), pak.hash());
            prop_assert_eq!(read.short(), pak.short());
            prop_assert_eq!(pak.short().as_str().len(), 8);
            prop_assert!(pak.long.len() >= 24);
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in ".*") {
            let _ = Pak::parse(&text);
            let _ = PakHash::from_hex(&text);
        }
    }
}
