//! Who may use an upstream now, who waits, who is turned away.
//!
//! In come a class and a client; out goes a [`Seat`], or a [`Shed`] with the reason. Proven between: no more seats are out
//! than the limit of the moment, the lower two classes never take the last of them, and what was taken comes back however
//! the request ends, because giving it back is its `Drop`. No sockets, no names, no tokens; time is an argument but where
//! something waits.
//!
//! | module | the question it answers |
//! | --- | --- |
//! | [`Capacity`] | how an upstream's capacity is shared, as an operator writes it |
//! | `house` | is there a seat: an atomic count while there is, one lock for those who wait |
//! | `seat` | what a request holds, from its turn to the end of its answer |
//! | `waiting` | who is next: class, then clients in turn, then first come (upper) or last come (lower) |
//! | `cohorts` | which clients of a lower class wait at all while there is not enough for all of them |
//! | `pace` | will there be a seat in time |
//! | `signals` | what the upstream's answers say, window by window, by whose word |
//! | `gradient` | how many seats there are, where nobody wrote it down |
//! | `places` | what goes on without a seat: streams, uploads; counted and capped too |
//! | `answering` | an answer that its client doesn't read is not the upstream's work |
//!
//! What a lower class can do to a higher one: take seats above the reserve while they are free, for as long as the upstream
//! works on them. Nothing else: it waits behind, is not believed about the upstream's pace (a fiftieth of the limit a second
//! at most), and its streams leave a quarter of their places.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod answering;
mod capacity;
mod cohorts;
mod gradient;
mod house;
mod pace;
mod places;
mod seat;
mod signals;
mod waiting;

pub use answering::Answering;
pub use capacity::{Capacity, Limit, Queues};
pub use house::{Admission, Who};
pub use seat::{Place, Seat};
pub use waiting::Shed;

/// How urgent a request is; highest first, which is the order in which seats are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Before all others.
    Critical,
    /// A genuine app.
    Attested,
    /// Something vouches for it, and not enough.
    Partial,
    /// Nothing vouches for it.
    Unattested,
}

/// All classes, highest first: the order of every list by class here.
pub const CLASSES: [Class; 4] = [Class::Critical, Class::Attested, Class::Partial, Class::Unattested];

impl Class {
    /// Whether it waits first come first served, may use the reserve, and is believed about the upstream.
    #[must_use]
    pub const fn is_upper(self) -> bool {
        matches!(self, Self::Critical | Self::Attested)
    }

    const fn index(self) -> usize {
        match self {
            Self::Critical => 0,
            Self::Attested => 1,
            Self::Partial => 2,
            Self::Unattested => 3,
        }
    }
}

/// Spreads a number over all bits (splitmix64's last step). No secret is kept by it: it goes in with the salt.
const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
