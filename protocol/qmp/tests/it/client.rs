//! The client's side: against the server's side of this very crate, however
//! the bytes are cut, and against any bytes at all.

use proptest::prelude::*;
use tinamou_qmp::client::{
    Incoming, LONGEST_MESSAGE, Peer, Request, Session, WINDOW, WINDOW_BESIDE_OOB,
};
use tinamou_qmp::json::Style;
use tinamou_qmp::session::{Catalog, Greeting, Session as Server, Version};
use tinamou_qmp::{CommandSpec, Error};

static COMMAND: CommandSpec = CommandSpec {
    name: "query-x",
    allow_oob: true,
    allow_preconfig: false,
    success_response: true,
    deprecated: false,
    unstable: false,
};

struct One;

impl Catalog for One {
    fn command(&self, name: &str) -> Option<&CommandSpec> {
        (name == COMMAND.name).then_some(&COMMAND)
    }
}

fn server(oob: bool, style: Style) -> Server {
    let version = Version {
        micro: 2,
        minor: 0,
        major: 10,
    };
    let greeting = Greeting {
        version,
        package: "a \"package\"".to_owned(),
        oob,
    };
    Server::new(&greeting, style)
}

/// Carries the server's bytes in pieces of this length, until both are quiet.
fn settle(client: &mut Session<u32>, server: &mut Server, piece: usize) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let output = server.take_output();
        for bytes in output.chunks(piece) {
            client.feed(bytes);
            while let Some(incoming) = client.receive().expect("the server is sound") {
                seen.push(shown(incoming));
            }
        }
        let (bytes, _) = client.output();
        let bytes = bytes.to_vec();
        client.sent(bytes.len());
        server.feed(&bytes);
        while let Some(request) = server.next(&One) {
            match request.arguments.is_empty() {
                true => server.reply(request.ticket, "done"),
                false => server.reply_error(request.ticket, &Error::generic("no\n")),
            }
        }
        if server.output().is_empty() && client.output().0.is_empty() {
            return seen;
        }
    }
}

fn shown(incoming: Incoming<u32>) -> String {
    match incoming {
        Incoming::Greeting => "greeting".to_owned(),
        Incoming::Negotiated => "negotiated".to_owned(),
        Incoming::Event(event) => event.name,
        Incoming::Reply { token, outcome, .. } => match outcome {
            Ok(value) => format!("{token} {}", value.get()),
            Err(error) => format!("{token} {}: {}", error.class, error.desc),
        },
    }
}

fn request<'a>(command: &'a str, arguments: &'a [u8]) -> Request<'a> {
    Request {
        command,
        arguments,
        oob: false,
        id: None,
        carries: false,
    }
}

#[test]
fn both_sides_understand_each_other() {
    for style in [Style::Compact, Style::Pretty] {
        for piece in [1, 2, 7, 1000] {
            for oob in [false, true] {
                let peer = Peer::Monitor { oob: true };
                let mut client = Session::new(peer, LONGEST_MESSAGE);
                let mut server = server(oob, style);
                let seen = settle(&mut client, &mut server, piece);
                assert_eq!(seen, ["greeting", "negotiated"]);
                assert_eq!(client.oob(), oob);
                let greeting = client.greeting().expect("it was greeted");
                assert_eq!(greeting.version.qemu.to_string(), "10.0.2");
                assert_eq!(greeting.version.package, "a \"package\"");

                client.request(&request("query-x", b""), 1);
                client.request(&request("no\tsuch", b""), 2);
                client.request(&request("query-x", b"{\"a\": 1}"), 3);
                let forgotten = client.request(&request("query-x", b""), 4);
                assert_eq!(client.forget(forgotten), Some(4));
                let seen = settle(&mut client, &mut server, piece);
                assert_eq!(
                    seen,
                    [
                        "1 \"done\"",
                        "2 CommandNotFound: The command no\tsuch has not been found",
                        "3 GenericError: no\n",
                    ]
                );
                assert_eq!((client.strays(), client.waiting()), (0, 0));
            }
        }
    }
}

#[test]
fn the_window_is_kept() {
    for (oob, window) in [(false, WINDOW), (true, WINDOW_BESIDE_OOB)] {
        let mut client = Session::new(Peer::Monitor { oob }, LONGEST_MESSAGE);
        let mut server = server(true, Style::Compact);
        settle(&mut client, &mut server, 1000);
        for token in 0..100 {
            client.request(&request("query-x", b""), token);
        }
        let (bytes, _) = client.output();
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, window);
        assert_eq!(settle(&mut client, &mut server, 1000).len(), 100);
    }
}

/// What goes along with requests goes along with their first bytes, and with
/// one request at a time.
#[test]
fn what_a_token_carries_goes_along_once() {
    let mut client = Session::new(Peer::Agent, LONGEST_MESSAGE);
    client.request(&request("plain", b""), 1);
    let carrying = Request {
        carries: true,
        ..request("carrying", b"")
    };
    client.request(&carrying, 2);
    client.request(&carrying, 3);
    let mut sent = Vec::new();
    for _ in 0..2 {
        let (bytes, token) = client.output();
        sent.push((String::from_utf8_lossy(bytes).into_owned(), token.copied()));
        let length = bytes.len();
        client.sent(length);
    }
    assert_eq!(
        sent,
        [
            (
                "{\"execute\":\"plain\",\"id\":\"tinamou-1\"}\n".to_owned(),
                None
            ),
            (
                "{\"execute\":\"carrying\",\"id\":\"tinamou-2\"}\n".to_owned(),
                Some(2)
            ),
        ]
    );
    client.feed(b"{\"return\": 0, \"id\": \"tinamou-2\"}");
    assert!(client.receive().is_ok_and(|reply| reply.is_some()));
    assert_eq!(client.output().1, Some(&mut 3));
}

proptest! {
    #[test]
    fn any_bytes_will_do(bytes in proptest::collection::vec(any::<u8>(), 0..300), agent: bool) {
        let peer = if agent { Peer::Agent } else { Peer::Monitor { oob: true } };
        let mut client: Session<()> = Session::new(peer, 100);
        client.feed(&bytes);
        while let Ok(Some(_)) = client.receive() {}
    }
}
