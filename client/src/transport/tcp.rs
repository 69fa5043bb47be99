//! TCP.

use super::{Transport, through};
use std::io;
use tokio::net::TcpStream;

/// A TCP connection.
pub(super) struct Tcp(pub(super) TcpStream);

through!(Tcp,);

impl Transport for Tcp {}

/// Connects. Requests are small and answers are waited for, so nothing is
/// held back to be sent together.
pub(super) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
