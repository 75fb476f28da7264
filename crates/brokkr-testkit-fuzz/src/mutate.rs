//! Inputs made of other inputs.

use crate::random::Random;

/// How many changes one input differs by from what it was made of, at most.
const CHANGES_MAX: usize = 6;
/// How often one piece is repeated, at most: enough to cross every bound of depth and number.
const REPEATS_MAX: usize = 1_500;

/// Numbers at which bounds lie.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1e3",
    "1.0",
    "0644",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e400",
    ".nan",
];

/// Characters that are more than they seem.
const TEXTS: [&str; 10] = [
    "\0",
    "\n",
    "\r\n",
    "\u{85}",
    "\u{feff}",
    "\u{202e}",
    "\u{1f600}",
    "\u{1b}[31m",
    "\t",
    "\u{a0}",
];

/// Makes inputs of a pool of others, with the words of a language.
#[derive(Debug)]
pub(crate) struct Mutator<'a> {
    pub(crate) words: &'a [&'a str],
    pub(crate) bytes_max: usize,
}

impl Mutator<'_> {
    /// A new input. The same pool and random numbers make the same input.
    pub(crate) fn input(&self, pool: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
        let mut input = random.pick(pool).cloned().unwrap_or_default();
        for _ in 0..=random.below(CHANGES_MAX) {
            self.change(&mut input, pool, random);
        }
        input.truncate(self.bytes_max);
        input
    }

    fn change(&self, input: &mut Vec<u8>, pool: &[Vec<u8>], random: &mut Random) {
        let (from, to) = range(input.len(), random);
        match random.below(10) {
            0 => drop(input.splice(from..to, [])),
            1 => drop(input.splice(from..from, one_byte(random))),
            2 => drop(input.splice(from..to, one_byte(random))),
            3 | 4 => drop(input.splice(from..from, self.piece(random))),
            5 => drop(input.splice(from..to, self.piece(random))),
            6 => {
                let copy = input[from..to].to_vec();
                let at = random.below(input.len() + 1);
                drop(input.splice(at..at, copy));
            }
            7 => {
                let (repeated, times) = (self.piece(random), random.below(REPEATS_MAX));
                let times = times.min(self.bytes_max / repeated.len().max(1));
                drop(input.splice(from..from, repeated.repeat(times)));
            }
            8 => {
                let other = random.pick(pool).cloned().unwrap_or_default();
                let (begin, end) = range(other.len(), random);
                drop(input.splice(from..to, other[begin..end].to_vec()));
            }
            _ => self.swap_lines(input, random),
        }
    }

    /// A word, a number, or an odd character.
    fn piece(&self, random: &mut Random) -> Vec<u8> {
        let pieces: &[&str] = match random.below(4) {
            0 => &NUMBERS,
            1 => &TEXTS,
            _ => self.words,
        };
        random
            .pick(pieces)
            .map(|piece| piece.as_bytes().to_vec())
            .unwrap_or_default()
    }

    fn swap_lines(&self, input: &mut Vec<u8>, random: &mut Random) {
        let mut lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
        let (one, other) = (random.below(lines.len()), random.below(lines.len()));
        lines.swap(one, other);
        *input = lines.join(&b'\n');
    }
}

fn one_byte(random: &mut Random) -> [u8; 1] {
    [u8::try_from(random.below(256)).unwrap_or_default()]
}

/// Mostly short, since a long one leaves nothing of the input.
fn range(length: usize, random: &mut Random) -> (usize, usize) {
    let from = random.below(length + 1);
    let longest = match random.below(8) {
        0 => length - from,
        _ => (length - from).min(12),
    };
    (from, from + random.below(longest + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUTATOR: Mutator<'static> = Mutator {
        words: &["word"],
        bytes_max: 100,
    };

    fn inputs(seed: u64) -> Vec<Vec<u8>> {
        let (pool, mut random) = (vec![b"a: 1\nb: 2\n".to_vec()], Random::new(seed));
        (0..200).map(|_| MUTATOR.input(&pool, &mut random)).collect()
    }

    #[test]
    fn a_seed_tells_every_input_of_a_run() {
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
    }

    #[test]
    fn inputs_differ_stay_within_their_bound_and_use_the_words() {
        let mut made = inputs(1);
        assert!(made.iter().all(|input| input.len() <= 100));
        assert!(
            made.iter()
                .any(|input| input.windows(4).any(|part| part == b"word"))
        );
        made.sort();
        made.dedup();
        assert!(made.len() > 150, "{} different inputs of 200", made.len());
    }

    #[test]
    fn nothing_can_be_made_of_nothing() {
        let mut random = Random::new(3);
        for _ in 0..100 {
            let _ = MUTATOR.input(&[], &mut random);
            let _ = MUTATOR.input(&[Vec::new()], &mut random);
        }
    }
}
