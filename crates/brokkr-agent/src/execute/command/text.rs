//! Bytes that arrive in pieces, as text.

/// Decodes UTF-8 whose sequences may be split between pieces. What is no UTF-8 becomes U+FFFD.
#[derive(Debug, Default)]
pub(crate) struct Utf8Splitter {
    /// The beginning of a sequence whose end is still to come; at most three bytes.
    carried: Vec<u8>,
}

impl Utf8Splitter {
    /// The text that is complete with this piece.
    pub(crate) fn push(&mut self, piece: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.carried);
        bytes.extend_from_slice(piece);
        let complete = bytes.len() - incomplete_suffix(&bytes);
        self.carried = bytes.split_off(complete);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What is left when no more comes.
    pub(crate) fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.carried)).into_owned()
    }
}

/// How many bytes at the end begin a sequence that a further piece could complete.
fn incomplete_suffix(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        Some(last) if could_go_on(last.invalid()) => last.invalid().len(),
        _ => 0,
    }
}

/// `invalid` is the longest beginning of a sequence that was found, so only its length has to be looked at.
fn could_go_on(invalid: &[u8]) -> bool {
    let needed = match invalid.first() {
        Some(0xC2..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF4) => 4,
        _ => 0,
    };
    invalid.len() < needed
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a é € 😀 z";

    #[test]
    fn text_split_anywhere_comes_out_whole() {
        for first in 0..=TEXT.len() {
            for second in first..=TEXT.len() {
                let mut splitter = Utf8Splitter::default();
                let bytes = TEXT.as_bytes();
                let mut text = splitter.push(&bytes[..first]);
                text += &splitter.push(&bytes[first..second]);
                text += &splitter.push(&bytes[second..]);
                assert_eq!(text, TEXT, "split at {first} and {second}");
                assert_eq!(splitter.finish(), "");
            }
        }
    }

    #[test]
    fn what_is_no_text_is_replaced_at_once() {
        let mut splitter = Utf8Splitter::default();
        assert_eq!(splitter.push(b"a\xFFb\x80"), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(splitter.push(b"\xE2\x41"), "\u{FFFD}A");
    }

    #[test]
    fn a_sequence_that_is_never_completed_is_replaced_at_the_end() {
        let mut splitter = Utf8Splitter::default();
        assert_eq!(splitter.push(b"a\xE2\x82"), "a");
        assert_eq!(splitter.finish(), "\u{FFFD}");
        assert_eq!(splitter.finish(), "");
    }

    #[test]
    fn a_sequence_broken_by_the_next_piece_is_replaced() {
        let mut splitter = Utf8Splitter::default();
        assert_eq!(splitter.push(b"\xE2\x82"), "");
        assert_eq!(splitter.push(b"x"), "\u{FFFD}x");
    }
}
