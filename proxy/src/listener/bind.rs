//! Binding a listening socket, before anything else starts.
//!
//! In: an address, and what it is for in the operator's words. Out: a listening socket, or an error that names the
//! address and, if another process holds it, which.

use std::{
    fmt, fs, io,
    net::{SocketAddr, TcpListener},
    path::Path,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind as bind_socket, listen, socket_with, sockopt};

/// Connections that the kernel keeps for us before we accept them; it cuts this to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// How many descriptors are looked at in search of the holder of a port.
const MAX_DESCRIPTORS: usize = 100_000;

/// A listening socket that is ours. Clients can connect already; nobody serves them yet.
#[derive(Debug)]
pub struct BoundListener {
    socket: TcpListener,
    address: SocketAddr,
}

impl BoundListener {
    /// The address as bound: with the port that the kernel chose, if 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The socket itself, non-blocking.
    #[must_use]
    pub fn into_std(self) -> TcpListener {
        self.socket
    }
}

/// Why an address can't be listened on. Its text names the address and what it was for.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({what}): {}", Reason { source, holder })]
pub struct BindError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What it was for, in the words of the configuration.
    pub what: String,
    /// Who listens there, if the address is in use and the holder can be seen.
    pub holder: Option<Holder>,
    /// What the kernel said.
    pub source: io::Error,
}

/// A process that holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its name, as the kernel cuts it to 15 bytes.
    pub name: String,
}

struct Reason<'a> {
    source: &'a io::Error,
    holder: &'a Option<Holder>,
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.source.kind(), self.holder) {
            (io::ErrorKind::AddrInUse, Some(Holder { pid, name })) => {
                write!(f, "the port is in use by {name} (process {pid})")
            }
            (io::ErrorKind::AddrInUse, None) => write!(f, "the port is in use by another process"),
            (io::ErrorKind::AddrNotAvailable, _) => write!(f, "this machine has no such address"),
            (io::ErrorKind::PermissionDenied, _) => {
                write!(f, "not permitted; ports below 1024 need the capability CAP_NET_BIND_SERVICE")
            }
            _ => write!(f, "{}", self.source),
        }
    }
}

/// Listens on `address`; port 0 takes any free one. `what` says what for, as in "listeners.public".
///
/// # Errors
/// [`BindError`] with the kernel's reason, and the holder of a port that is in use.
pub fn bind(address: SocketAddr, what: &str) -> Result<BoundListener, BindError> {
    try_bind(address).map_err(|source| BindError {
        address,
        what: what.to_owned(),
        holder: if source.kind() == io::ErrorKind::AddrInUse { holder_of(address.port()) } else { None },
        source,
    })
}

fn try_bind(address: SocketAddr) -> io::Result<BoundListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    // A port whose last connections are still dying can be taken again at once; one that is listened on can't.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind_socket(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    let socket = TcpListener::from(socket);
    let address = socket.local_addr()?;
    Ok(BoundListener { socket, address })
}

/// Looks through `/proc` for a process that listens on `port`; sees only what our user may see.
fn holder_of(port: u16) -> Option<Holder> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut looked_at = 0;
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        for descriptor in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            looked_at += 1;
            if looked_at > MAX_DESCRIPTORS {
                return None;
            }
            let holds =
                fs::read_link(descriptor.path()).is_ok_and(|link| inodes.iter().any(|inode| link == Path::new(inode)));
            if holds {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(Holder { pid, name: name.trim_end().to_owned() });
            }
        }
    }
    None
}

/// The inodes of sockets that listen on `port`, from the text of `/proc/net/tcp` or `tcp6`.
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        // Columns: number, local address, remote address, state (0A listens), ..., inode in the tenth.
        .filter(|columns| columns.get(3) == Some(&"0A") && columns.get(1).is_some_and(|local| local.ends_with(&suffix)))
        .filter_map(|columns| columns.get(9).map(|inode| (*inode).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn names_the_port_in_use_what_it_was_for_and_who_holds_it() {
        let first = bind(loopback(0), "listeners.probe").unwrap();
        let error = bind(first.local_addr(), "listeners.public").unwrap_err();
        let holder = error.holder.clone().unwrap();
        assert_eq!(holder.pid, std::process::id());
        let text = error.to_string();
        for part in [&first.local_addr().to_string(), "listeners.public", "in use", &holder.name] {
            assert!(text.contains(part), "{text} lacks {part}");
        }
    }

    #[test]
    fn names_an_address_that_is_not_this_machines() {
        let error = bind(([192, 0, 2, 1], 0).into(), "listeners.public").unwrap_err();
        assert!(
            error.to_string().contains("192.0.2.1:0 (listeners.public): this machine has no such address"),
            "{error}"
        );
    }

    #[test]
    fn port_0_takes_a_free_one() {
        let bound = bind(loopback(0), "listeners.public").unwrap();
        assert_ne!(bound.local_addr().port(), 0);
        assert!(std::net::TcpStream::connect(bound.local_addr()).is_ok());
    }

    #[test]
    fn reads_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0\n";
        assert_eq!(listening_inodes(table, 8080), ["4711"]);
        assert!(listening_inodes(table, 8081).is_empty());
    }
}
