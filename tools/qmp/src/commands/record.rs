//! `qmp record`: stands between clients and a server, and writes down what
//! they say.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::Args;
use tinamou_client::{Address, Builder, Stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::listen::{Connected, FdInbox, Listener};
use crate::recording::{Recorder, Redaction, Redactor, Side, Tape};
use crate::{Error, Exit, Global, Output, connect};

const HELP: &str = "\
Passwords and the data of secret objects are never written. --redact hides more: COMMAND.MEMBER… in
arguments and return values, EVENT.MEMBER… in events; `*` in a part stands for anything.

Examples:
  qmp record vm.sock -o session.jsonl -- ./recorded.sock
  qmp record vm.sock -o session.jsonl --redact 'query-vnc*.*' -- ./recorded.sock";

/// Bytes that are read at once.
const READ: usize = 64 << 10;

/// What `qmp record` takes.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct Options {
    /// Where the server listens
    #[arg(value_name = "ADDR")]
    server: Address,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Hide a member as well; may be repeated
    #[arg(long, value_name = "PATH")]
    redact: Vec<Redaction>,
    /// End with the first client
    #[arg(long)]
    once: bool,
    /// Where to listen
    #[arg(value_name = "LISTEN")]
    listen: Address,
}

pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let server = connect::builder(&options.server, global)?;
    let path = options.output.display().to_string();
    let recorder = Recorder::create(&options.output, &options.server.to_string());
    let recorder = Arc::new(recorder.map_err(Error::io(path))?);
    let listener =
        Listener::bind(&options.listen, global.credentials.server(true).as_ref()).await?;
    output.note(&format!("listening at {}", listener.name()));
    let serving = serve(&listener, &recorder, &server, &options, output);
    tokio::select! {
        served = serving => served,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Error::io("signals")).map(|()| Exit::Done),
    }
}

async fn serve(
    listener: &Listener,
    recorder: &Arc<Recorder>,
    server: &Builder,
    options: &Options,
    output: &Output,
) -> Result<Exit, Error> {
    for number in 0.. {
        let arrival = listener
            .accept()
            .await
            .map_err(Error::io(listener.name()))?;
        let client = arrival
            .identify()
            .await
            .map_err(Error::io(listener.name()))?;
        // The client sees at once that there is no server.
        let server = server.dial(&options.server).await?;
        let redactor = Redactor::new(options.redact.clone());
        let who = client.peer.to_string();
        let tape = Tape::new(Arc::clone(recorder), number, &who, redactor)
            .map_err(Error::io("the recording"))?;
        if options.once {
            pass(client, server, tape)
                .await
                .map_err(Error::io("recording"))?;
            return Ok(Exit::Done);
        }
        let output = output.clone();
        tokio::spawn(async move {
            if let Err(error) = pass(client, server, tape).await {
                output.note(&format!("connection {number}: {error}"));
            }
        });
    }
    Ok(Exit::Done)
}

/// Passes bytes on in both directions until both have ended.
async fn pass(client: Connected, server: Stream, tape: Tape) -> io::Result<()> {
    let (client_in, client_out) = tokio::io::split(client.stream);
    let (server, tape) = (Mutex::new(server), Mutex::new(tape));
    let passed = tokio::try_join!(
        pass_requests(client_in, &client.fds, &server, &tape),
        pass_responses(&server, client_out, &tape),
    );
    match passed {
        Err(error) if error.kind() != ended().kind() => Err(error),
        _ => Ok(()),
    }
}

async fn pass_requests(
    mut client: impl AsyncRead + Unpin,
    fds: &FdInbox,
    server: &Mutex<Stream>,
    tape: &Mutex<Tape>,
) -> io::Result<()> {
    let mut buffer = vec![0; READ];
    loop {
        // One that breaks off, or leaves TLS without a word, has ended too.
        let count = client.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            break;
        }
        lock(tape).heard(Side::Client, &buffer[..count])?;
        // A message with descriptors never shares a read with what follows.
        let fds: Vec<OwnedFd> = std::iter::from_fn(|| fds.pop()).collect();
        send(server, &buffer[..count], &fds).await?;
    }
    lock(tape).closed(Side::Client)?;
    // The server may have ended already.
    drop(poll_fn(|cx| Pin::new(&mut *lock(server)).poll_shutdown(cx)).await);
    Ok(())
}

async fn pass_responses(
    server: &Mutex<Stream>,
    mut client: impl AsyncWrite + Unpin,
    tape: &Mutex<Tape>,
) -> io::Result<()> {
    let mut space = vec![0; READ];
    loop {
        let mut buffer = ReadBuf::new(&mut space);
        let read = poll_fn(|cx| Pin::new(&mut *lock(server)).poll_read(cx, &mut buffer)).await;
        // A server that ends with requests unread resets the connection.
        if read.is_err() || buffer.filled().is_empty() {
            break;
        }
        lock(tape).heard(Side::Server, buffer.filled())?;
        client.write_all(buffer.filled()).await?;
    }
    lock(tape).closed(Side::Server)?;
    // Nothing more can be asked.
    client.shutdown().await?;
    Err(ended())
}

/// Ends the other direction as well.
fn ended() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

async fn send(server: &Mutex<Stream>, mut bytes: &[u8], fds: &[OwnedFd]) -> io::Result<()> {
    let mut fds = fds;
    while !bytes.is_empty() {
        let sent = poll_fn(|cx| {
            let mut server = lock(server);
            match fds.is_empty() {
                true => Pin::new(&mut *server).poll_write(cx, bytes),
                false => server.poll_send(cx, bytes, fds),
            }
        });
        bytes = &bytes[sent.await?..];
        fds = &[];
    }
    poll_fn(|cx| Pin::new(&mut *lock(server)).poll_flush(cx)).await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
