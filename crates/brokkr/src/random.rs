//! Random bytes for what this process names by itself.

/// Bytes that nobody can guess.
#[expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "the one place of this crate where random bytes come from"
)]
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
