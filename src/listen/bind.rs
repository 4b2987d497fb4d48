//! Binds one address for all workers: a plain probe first, so that a second Weir is refused, then a socket for each worker.
//!
//! With SO_REUSEPORT alone a second process would silently take half of the connections. The probe has no such option and
//! fails while anybody listens. It is closed before the sockets are bound, for the kernel allows no mixture: what remains is a
//! gap of microseconds in which two gateways that start at the same instant could both pass.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel queues for a worker before it turns new ones away.
const BACKLOG: i32 = 4096;

/// An address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}. {help}")]
pub struct BindFault {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    #[source]
    pub cause: io::Error,
    /// What to do.
    pub help: &'static str,
}

/// A listening socket for each of `workers`, all on one port. Port 0 takes a free one, the same for all.
pub fn bind(address: SocketAddr, workers: usize) -> Result<Vec<TcpListener>, BindFault> {
    let fault = |cause: io::Error| BindFault { address, help: help(&cause), cause };
    let chosen = probe(address).map_err(fault)?;
    let mut sockets = Vec::with_capacity(workers.max(1));
    for _ in 0..workers.max(1) {
        let socket = socket(chosen).map_err(fault)?;
        socket.set_reuse_port(true).map_err(fault)?;
        socket.bind(&chosen.into()).map_err(fault)?;
        sockets.push(socket);
    }
    // All are bound before the first listens: a connection never meets a port on which half of the workers are missing.
    for socket in &sockets {
        socket.listen(BACKLOG).map_err(fault)?;
    }
    Ok(sockets.into_iter().map(TcpListener::from).collect())
}

/// Fails if anybody listens here, with or without SO_REUSEPORT; gives the port when it was left open.
fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    let probe = socket(address)?;
    probe.bind(&address.into())?;
    // Bound, never listening: no client ever connects to the probe.
    probe.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier run that are still in TIME_WAIT do not hold the port.
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it: one system call a socket instead of one a connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn help(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "Another process listens there: stop it, or choose another address in gateway.toml",
        io::ErrorKind::PermissionDenied => {
            "Ports below 1024 need the right to bind them (CAP_NET_BIND_SERVICE, or AmbientCapabilities in systemd)"
        }
        io::ErrorKind::AddrNotAvailable => "This machine has no such address: see `ip address`",
        _ => "See the address in gateway.toml",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_share_the_port_that_was_chosen() {
        let sockets = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 3).expect("binds");
        let ports: Vec<u16> = sockets.iter().map(|socket| socket.local_addr().expect("bound").port()).collect();
        assert_eq!(ports.len(), 3);
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]));
    }

    #[test]
    fn a_second_gateway_is_refused_and_told_why() {
        let sockets = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 2).expect("binds");
        let taken = sockets[0].local_addr().expect("bound");
        let fault = bind(taken, 2).expect_err("the port is taken");
        assert!(fault.to_string().contains("Another process listens there"), "{fault}");
    }

    #[test]
    fn an_address_of_another_machine_is_explained() {
        let fault = bind(SocketAddr::from(([192, 0, 2, 1], 0)), 1).expect_err("not ours");
        assert!(fault.to_string().contains("no such address"), "{fault}");
    }
}
