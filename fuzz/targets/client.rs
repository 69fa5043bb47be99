//! The client's side of a session: whatever a server sends, nothing panics,
//! every token comes back at most once, and a fault is the end. The first
//! byte says how input is cut and whom the client takes the server for.

use std::collections::HashSet;
use tinamou_qmp::client::{Incoming, Peer, Request, Session};

/// The longest message that is taken here.
const LONGEST: usize = 4096;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let Some((&control, input)) = input.split_first() else {
        return;
    };
    let peer = match control & 3 {
        0 => Peer::Agent,
        bits => Peer::Monitor { oob: bits & 1 != 0 },
    };
    let mut driver = Driver {
        session: Session::new(peer, LONGEST),
        out: HashSet::new(),
        broken: false,
    };
    for (number, chunk) in input.chunks(usize::from(control >> 2) + 1).enumerate() {
        driver.ask(number as u64);
        driver.session.feed(chunk);
        driver.listen();
    }
    let rest = driver.session.end();
    for (_, token) in rest {
        assert!(driver.out.remove(&token), "a token comes back once");
    }
}

/// A session and the tokens that it has.
struct Driver {
    session: Session<u64>,
    out: HashSet<u64>,
    broken: bool,
}

impl Driver {
    fn ask(&mut self, number: u64) {
        if !self.session.is_ready() || self.out.len() > 100 {
            return;
        }
        let request = Request {
            command: "query-x",
            arguments: b"",
            oob: self.session.oob() && number.is_multiple_of(7),
            id: number.is_multiple_of(5).then_some("named"),
            carries: number.is_multiple_of(3),
        };
        let id = self.session.request(&request, number);
        self.out.insert(number);
        if number.is_multiple_of(4)
            && let Some(token) = self.session.forget(id)
        {
            assert!(self.out.remove(&token), "a token comes back once");
        }
        let sent = self.session.output().0.len();
        self.session.sent(sent.min(usize::from(number as u8)));
    }

    fn listen(&mut self) {
        loop {
            match self.session.receive() {
                Ok(Some(incoming)) => {
                    assert!(!self.broken, "a fault is the end");
                    if let Incoming::Reply { token, .. } = incoming {
                        assert!(self.out.remove(&token), "a token comes back once");
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    assert!(!self.broken, "one fault is told once");
                    self.broken = true;
                }
            }
        }
    }
}
