//! The listening socket, and how a process gets it: systemd's protocol, `LISTEN_FDS`.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::Path,
};

use command_fds::{CommandFdExt, FdMapping};
use tokio::process::Command;

use crate::exit::Problem;

/// Where the protocol says that the first socket is.
const FIRST_FD: i32 = 3;

/// `LISTEN_PID` is the process that the socket is for. Nobody knows its number before it runs: so it
/// begins as a shell, which notes its own number and becomes the program.
const BECOME: &str = "export LISTEN_PID=$$; exec \"$@\"";

/// A socket that outlives the program.
#[derive(Debug)]
pub(super) struct Socket {
    listener: TcpListener,
    address: SocketAddr,
}

impl Socket {
    /// Listens; 0 takes a free port. Only this machine reaches it.
    pub(super) fn open(port: u16) -> Result<Self, Problem> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let opened = listener.and_then(|listener| {
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        });
        opened.map_err(|error| {
            let problem = match error.kind() {
                io::ErrorKind::AddrInUse => format!("port {port} is in use by another program"),
                _ => format!("port {port} cannot be used"),
            };
            Problem::failure(problem)
                .because(&error)
                .hint("take another one; `--port 0` takes a free one")
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A program that is handed the socket.
    pub(super) fn command(&self, program: &Path) -> Result<Command, Problem> {
        let socket = OwnedFd::from(self.listener.try_clone()?);
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", BECOME, "sh"])
            .arg(program)
            .env("LISTEN_FDS", "1")
            .env("PORT", self.address.port().to_string());
        let mapping = FdMapping {
            parent_fd: socket,
            child_fd: FIRST_FD,
        };
        let mapped = command.fd_mappings(vec![mapping]);
        mapped
            .map_err(|error| Problem::failure("could not hand over the socket").because(&error))?;
        Ok(command)
    }
}
