//! Random bytes that are the same in every run.

use std::sync::{Arc, Mutex, PoisonError};

use brokkr_broker::app::random::Random;

/// Bytes that look random and follow from the seed (SplitMix64). All clones draw from one sequence.
#[derive(Debug, Clone)]
pub struct SeededRandom(Arc<Mutex<u64>>);

impl SeededRandom {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            let drawn = next(&mut state).to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64) -> [u8; 12] {
        let mut bytes = [0; 12];
        SeededRandom::new(seed).fill(&mut bytes);
        bytes
    }

    #[test]
    fn a_seed_gives_the_same_bytes_every_time_and_another_seed_others() {
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
