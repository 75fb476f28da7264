//! How often people may try to sign in. Keys cannot be guessed: this bounds what guessing costs the database, and keeps one who guesses
//! from locking everybody else out.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

const ALL_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);
const ALL_AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);
const OF_PEER_PER_SECOND: NonZeroU32 = NonZeroU32::MIN;
const OF_PEER_AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(14);
/// So many addresses are remembered. More at the same time are bounded all together only.
const PEERS_MAX: usize = 10_000;

/// The limits of one replica.
pub(super) struct SignInLimits {
    all: DefaultDirectRateLimiter,
    of_peer: DefaultKeyedRateLimiter<IpAddr>,
}

impl SignInLimits {
    pub(super) fn new() -> SignInLimits {
        let all = Quota::per_second(ALL_PER_SECOND).allow_burst(ALL_AT_ONCE);
        let of_peer = Quota::per_second(OF_PEER_PER_SECOND).allow_burst(OF_PEER_AT_ONCE);
        SignInLimits {
            all: RateLimiter::direct(all),
            of_peer: RateLimiter::keyed(of_peer),
        }
    }

    /// Whether somebody at this address may try now. One who may not takes nothing from what the others may.
    pub(super) fn allow(&self, peer: Option<IpAddr>) -> bool {
        peer.is_none_or(|peer| self.allow_peer(peer)) && self.all.check().is_ok()
    }

    fn allow_peer(&self, peer: IpAddr) -> bool {
        if self.of_peer.len() >= PEERS_MAX {
            self.of_peer.retain_recent();
        }
        self.of_peer.len() >= PEERS_MAX || self.of_peer.check_key(&household(peer)).is_ok()
    }
}

/// Who has one address of IPv6 has all that share its first half.
fn household(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Far more than anybody may in the time that a test takes.
    const TRIES_MAX: usize = 1_000;

    fn tries_until_refused(limits: &SignInLimits, peer: IpAddr) -> usize {
        (0..TRIES_MAX).take_while(|_| limits.allow(Some(peer))).count()
    }

    #[test]
    fn one_who_guesses_is_refused_and_others_are_not() {
        let limits = SignInLimits::new();
        let (guesser, other) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let tries = tries_until_refused(&limits, guesser.into());
        assert!((15..TRIES_MAX).contains(&tries), "{tries}");
        assert!(limits.allow(Some(other.into())));
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_count_as_one() {
        let parse = |text: &str| household(text.parse().unwrap());
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:0:0:1"));
        assert_ne!(parse("2001:db8::1"), parse("2001:db8:0:1::1"));
        assert_eq!(parse("::ffff:192.0.2.1"), parse("192.0.2.1"));
        assert_ne!(parse("192.0.2.2"), parse("192.0.2.1"));
    }

    #[test]
    fn many_addresses_are_bounded_together_and_fill_no_memory() {
        let limits = SignInLimits::new();
        let peers = (0..).map(|n| IpAddr::from(Ipv4Addr::from_bits(n)));
        let refused = peers
            .take(2 * PEERS_MAX)
            .filter(|peer| !limits.allow(Some(*peer)))
            .count();
        assert!(refused > PEERS_MAX, "{refused}");
        assert!(limits.of_peer.len() <= PEERS_MAX);
    }
}
