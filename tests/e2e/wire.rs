//! What goes over the wire, seen from outside: byte by byte, through the real programs.

mod heads;
mod identity;
mod oracle;
mod protocols;
