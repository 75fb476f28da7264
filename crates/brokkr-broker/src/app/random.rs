//! The source of random bytes, as a parameter.

/// Fills memory with random bytes that nobody can guess. Tests give a seeded source.
pub trait Random: Send + Sync + 'static {
    /// Overwrites all of `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::disallowed_methods,
        clippy::expect_used,
        reason = "the one place where random bytes come from; without them no key is safe"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}
