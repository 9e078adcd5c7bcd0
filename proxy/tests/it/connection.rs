//! The connection layer against real sockets, with a proxy of a few lines behind it.

mod kit;

mod http1;
mod http2;
mod stop;
mod upload;
mod vectors;
