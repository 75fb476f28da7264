//! Ids: one type per thing that has one, so that two of them cannot be mixed up.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Names a thing by its UUID.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID itself.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

id! {
    /// Names a work order, in the queue and in the log alike. A UUIDv7, so the order of ids is the order of age.
    WorkOrderId
}
id! {
    /// Names an agent: the identity of one cluster or host.
    AgentId
}
id! {
    /// Names a generator: a tenant or CI identity that submits work.
    GeneratorId
}
id! {
    /// Names one label of one agent.
    AgentLabelId
}
id! {
    /// Names one annotation of one agent.
    AgentAnnotationId
}
id! {
    /// Names a webhook: somebody who is told of events.
    WebhookId
}
id! {
    /// Names what one webhook is told of one event, at every attempt.
    DeliveryId
}

/// Builds a UUIDv7 (RFC 9562, section 5.7, method 3 of 6.2) from a time and random bytes.
///
/// The twelve bits behind the milliseconds carry the fraction of the millisecond, so that ids made by one clock sort by
/// their time to within 250 ns. `sequence` breaks ties between ids of the same microsecond: it fills the highest of the
/// remaining bits, so that ids of one batch keep their order.
#[must_use]
pub fn uuid_v7(at: crate::time::Timestamp, sequence: u16, random: [u8; 6]) -> Uuid {
    let millis = at.as_millis();
    let micros_of_milli = (at.as_micros() % 1_000) as u64;
    let fraction = (micros_of_milli * 4_096 / 1_000) as u16;
    let mut tail = [0_u8; 8];
    tail[0] = (sequence >> 10) as u8 & 0x3F;
    tail[1] = (sequence >> 2) as u8;
    tail[2..].copy_from_slice(&random);
    // The two lowest bits of the sequence take the place of two random ones.
    tail[2] = (tail[2] & 0x3F) | ((sequence & 0b11) as u8) << 6;
    let high = (millis << 16) | 0x7000 | u64::from(fraction);
    let low = (u64::from_be_bytes(tail) & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000;
    Uuid::from_u64_pair(high, low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_made_id_is_a_version_7_uuid_that_tells_its_millisecond() {
        let id = uuid_v7(Timestamp::from_micros(1_700_000_000_123_456), 7, [0xFF; 6]);
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.get_timestamp().map(|t| t.to_unix().0), Some(1_700_000_000));
    }

    #[test]
    fn later_ids_sort_after_earlier_ones_whatever_the_random_bytes() {
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        let next = Timestamp::from_micros(1_700_000_000_123_457);
        for sequence in 0..5_000_u16 {
            assert!(uuid_v7(at, sequence, [0xFF; 6]) < uuid_v7(at, sequence + 1, [0; 6]));
            assert!(uuid_v7(at, sequence, [0xFF; 6]) < uuid_v7(next, 0, [0; 6]));
        }
    }
}
