//! Chance that follows from a seed (SplitMix64).

use std::ops::Range;
use std::time::Duration;

/// A sequence of numbers that look random.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The sequence of this seed for one purpose; another purpose has another sequence.
    pub(crate) fn new(seed: u64, purpose: u64) -> Dice {
        let mut dice = Dice(seed ^ purpose.rotate_left(32));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of the range, which is not empty.
    pub(crate) fn number(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// A place in something of this length, which is not empty.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        (self.next() % length as u64) as usize
    }

    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }

    /// True this many times of a hundred.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.number(0..100) < percent
    }

    /// One of the choices, each as often as its weight says.
    pub(crate) fn weighted<T: Copy>(&mut self, choices: &[(u64, T)]) -> T {
        let total = choices.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.number(0..total);
        for (weight, choice) in choices {
            if drawn < *weight {
                return *choice;
            }
            drawn -= weight;
        }
        unreachable!("the weights add up")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_sequence_and_another_purpose_another_one() {
        let drawn = |seed, purpose| {
            let mut dice = Dice::new(seed, purpose);
            [(); 8].map(|()| dice.number(0..1_000_000))
        };
        assert_eq!(drawn(7, 1), drawn(7, 1));
        assert_ne!(drawn(7, 1), drawn(7, 2));
        assert_ne!(drawn(7, 1), drawn(8, 1));
    }

    #[test]
    fn weights_decide_how_often_a_choice_comes() {
        let mut dice = Dice::new(1, 1);
        let drawn: Vec<char> = (0..1000)
            .map(|_| dice.weighted(&[(0, 'a'), (1, 'b'), (9, 'c')]))
            .collect();
        let count = |wanted| drawn.iter().filter(|letter| **letter == wanted).count();
        assert_eq!(count('a'), 0);
        assert!((50..200).contains(&count('b')), "{}", count('b'));
    }
}
