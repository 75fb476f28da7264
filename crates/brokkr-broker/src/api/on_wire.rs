//! Values that look the same in every answer.

use brokkr_api::{PakText, Time};
use brokkr_core::pak::Pak;
use brokkr_core::time::Timestamp;

/// A value of the core that has a form on the wire.
pub(crate) trait OnWire {
    type Form;

    fn on_wire(self) -> Self::Form;
}

impl OnWire for Timestamp {
    type Form = Time;

    fn on_wire(self) -> Time {
        Time::from_micros(self.as_micros())
    }
}

impl<T: OnWire> OnWire for Option<T> {
    type Form = Option<T::Form>;

    fn on_wire(self) -> Self::Form {
        self.map(T::on_wire)
    }
}

impl OnWire for Pak {
    type Form = PakText;

    /// The one way by which a key leaves the broker, and only in the answer to the call that made it.
    fn on_wire(self) -> PakText {
        PakText::new(self.reveal())
    }
}
