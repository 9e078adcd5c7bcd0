//! The attestation service as those see it who run it: from here and from afar.

mod audit;
mod decisions;
mod dev;
mod documents;
mod figures;
mod key_sets;
mod remote;
