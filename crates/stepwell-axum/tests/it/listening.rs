//! The socket that is handed over, in a process of its own: it is part of what a process starts with.

use std::{
    io::Read,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Command, Stdio},
};

use command_fds::{CommandFdExt, FdMapping};
use stepwell::axum::listen;

/// Another address than the one that is handed over.
const ELSEWHERE: &str = "127.0.0.1:0";

/// What the other process does: it accepts one connection and sends its address.
#[tokio::test]
#[ignore = "is run by another test, in a process of its own"]
async fn accept_one() {
    let listener = listen(ELSEWHERE).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    stream.writable().await.unwrap();
    assert_eq!(stream.try_write(address.as_bytes()).unwrap(), address.len());
    assert!(std::env::var_os("LISTEN_FDS").is_none());
}

#[test]
fn a_socket_that_is_handed_over_is_taken() {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    // Nobody accepts yet, and still nobody is refused.
    let mut client = TcpStream::connect(address).unwrap();
    let mut process = Command::new("sh");
    process
        .args(["-c", "export LISTEN_PID=$$; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "listening::accept_one", "--ignored"])
        .env("LISTEN_FDS", "1")
        .stdout(Stdio::null());
    let parent_fd = OwnedFd::from(socket);
    let mappings = vec![FdMapping {
        parent_fd,
        child_fd: 3,
    }];
    let mut process = process.fd_mappings(mappings).unwrap().spawn().unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    assert_eq!(said, address.to_string());
    assert!(process.wait().unwrap().success());
}

#[tokio::test]
async fn without_one_the_address_is_taken() {
    let listener = listen(ELSEWHERE).await.unwrap();
    assert!(listener.local_addr().unwrap().ip().is_loopback());
}
