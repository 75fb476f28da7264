//! Everything that is left to chance, from one seed.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_broker::app::random::Random;

/// A sequence of numbers (SplitMix64) that follows from a seed. Each part of a simulation has its own, so that what one part
/// draws changes nothing for the others.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence of one part.
    pub(crate) fn of(&self, part: &str) -> Self {
        let named = part.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut dice = Self(self.0 ^ named);
        Self(dice.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }

    /// Whether something happens that happens this many times in a thousand.
    pub(crate) fn per_mille(&mut self, chance: u64) -> bool {
        self.below(1_000) < chance
    }

    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Dice that several tasks throw.
#[derive(Debug)]
pub(crate) struct SharedDice(Mutex<Dice>);

impl SharedDice {
    pub(crate) fn new(dice: Dice) -> Self {
        Self(Mutex::new(dice))
    }

    pub(crate) fn throw(&self) -> MutexGuard<'_, Dice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Random for SharedDice {
    fn fill(&self, bytes: &mut [u8]) {
        let mut dice = self.throw();
        for chunk in bytes.chunks_mut(8) {
            let drawn = dice.next().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_seed_draw_what_is_theirs_and_the_same_every_time() {
        let drawn = |seed, part| Dice::new(seed).of(part).next();
        assert_eq!(drawn(1, "network"), drawn(1, "network"));
        assert_ne!(drawn(1, "network"), drawn(1, "hosts"));
        assert_ne!(drawn(1, "network"), drawn(2, "network"));
    }
}
