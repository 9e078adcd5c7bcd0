//! The whole gateway against real sockets: a client of raw bytes on one side, a recording API on the other.

mod kit;

mod admission;
mod answers;
mod attacks;
mod dev;
mod heads;
mod keys;
mod operators;
mod protocols;
mod revocations;
mod rotation;
mod shared;
mod streams;
mod traces;
