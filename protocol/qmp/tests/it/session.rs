//! Order and flow: the queue, out-of-band requests, events, the end.

use crate::server::{Commands, Mode, answer, greeting, session};
use tinamou_qmp::json::Style;
use tinamou_qmp::session::{QUEUE_LIMIT, Request, Session};
use tinamou_qmp::{Error, Value};

const CATALOG: Commands = Commands { preconfig: false };

fn request(id: usize) -> Vec<u8> {
    format!(r#"{{"execute": "query-name", "id": {id}}}"#).into_bytes()
}

fn oob(id: usize) -> Vec<u8> {
    format!(r#"{{"exec-oob": "query-yank", "id": {id}}}"#).into_bytes()
}

fn next(session: &mut Session) -> Request {
    session.next(&CATALOG).expect("a request is due")
}

fn is_idle(session: &mut Session) -> bool {
    session.next(&CATALOG).is_none()
}

/// The ids of the replies, in order; errors without id as `None`.
fn ids(session: &mut Session) -> Vec<Option<usize>> {
    let output = String::from_utf8(session.take_output()).unwrap();
    let id = |line: &str| {
        line.split(r#""id": "#)
            .last()?
            .trim_end_matches('}')
            .parse()
            .ok()
    };
    output.split_terminator("\r\n").map(id).collect()
}

#[test]
fn without_oob_one_request_at_a_time() {
    let mut session = session(Mode::Plain);
    session.feed(&[request(0), b"[] oops ".to_vec(), request(1)].concat());
    let first = next(&mut session);
    assert!(is_idle(&mut session));
    assert!(!session.wants_input());
    assert!(session.output().is_empty());
    answer(&mut session, first);
    let second = next(&mut session);
    answer(&mut session, second);
    assert!(is_idle(&mut session));
    assert!(session.wants_input());
    assert_eq!(ids(&mut session), [Some(0), None, None, Some(1)]);
}

#[test]
fn oob_overtakes_until_the_queue_is_full() {
    for waiting in 0..12 {
        let mut session = session(Mode::Oob);
        session.feed(&request(0));
        let slow = next(&mut session);
        let queued: Vec<u8> = (1..=waiting).flat_map(request).collect();
        session.feed(&[queued, oob(99)].concat());
        let overtakes = waiting < QUEUE_LIMIT;
        match session.next(&CATALOG) {
            Some(request) => {
                assert!(overtakes && request.oob);
                assert!(!session.wants_input());
                answer(&mut session, request);
            }
            None => assert!(!overtakes && !session.wants_input()),
        }
        answer(&mut session, slow);
        while let Some(request) = session.next(&CATALOG) {
            answer(&mut session, request);
        }
        let order = ids(&mut session);
        assert_eq!(order.len(), waiting + 2);
        // It is read as soon as all but QUEUE_LIMIT - 1 before it were taken.
        let place = (waiting + 1).saturating_sub(QUEUE_LIMIT);
        assert_eq!(order[place], Some(99), "{waiting}: {order:?}");
        assert!(session.wants_input());
    }
}

#[test]
fn faulty_messages_take_queue_slots() {
    let mut session = session(Mode::Oob);
    session.feed(&request(0));
    let slow = next(&mut session);
    session.feed(&[b"[] ] @} {} 1 2 \"x\" ".to_vec(), oob(99)].concat());
    assert!(is_idle(&mut session));
    assert!(session.output().is_empty());
    answer(&mut session, slow);
    let overtaking = next(&mut session);
    assert!(overtaking.oob);
    assert_eq!(ids(&mut session), [Some(0)]);
    answer(&mut session, overtaking);
    assert!(is_idle(&mut session));
    assert_eq!(ids(&mut session).len(), 9);
}

#[test]
fn events_only_after_the_negotiation() {
    let mut session = Session::new(&greeting(), Style::Compact);
    let _ = session.take_output();
    session.event(b"lost\r\n");
    assert!(session.output().is_empty());
    session.feed(br#"{"execute": "qmp_capabilities"}"#);
    assert!(is_idle(&mut session));
    assert!(session.negotiated() && !session.oob());
    session.event(b"kept\r\n");
    assert_eq!(session.output(), b"{\"return\": {}}\r\nkept\r\n");
    session.sent(5);
    assert_eq!(session.output(), b"urn\": {}}\r\nkept\r\n");
}

#[test]
fn replies_of_every_kind() {
    let mut session = session(Mode::Plain);
    session.feed(&[request(1), request(2), request(3), request(4)].concat());
    let request = next(&mut session);
    session.reply_raw(request.ticket, b"[1, 2]");
    session.reply_raw(request.ticket, b"again");
    let request = next(&mut session);
    session.reply_error(request.ticket, &Error::device_not_found("x"));
    let request = next(&mut session);
    session.no_reply(request.ticket);
    let request = next(&mut session);
    session.reply(
        request.ticket,
        &std::collections::BTreeMap::from([((), Value::Null)]),
    );
    assert_eq!(
        String::from_utf8(session.take_output()).unwrap(),
        "{\"return\": [1, 2], \"id\": 1}\r\n\
         {\"id\": 2, \"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'x' not found\"}}\r\n\
         {\"id\": 4, \"error\": {\"class\": \"GenericError\", \"desc\": \"key must be a string\"}}\r\n"
    );
}

#[test]
fn the_end_drops_what_waits_with_oob_only() {
    for (mode, answered) in [(Mode::Plain, 3), (Mode::Oob, 1)] {
        let mut session = session(mode);
        session.feed(
            &[
                request(0),
                request(1),
                request(2),
                b"{\"execute\":".to_vec(),
            ]
            .concat(),
        );
        let first = next(&mut session);
        session.end_input();
        assert!(!session.is_finished());
        answer(&mut session, first);
        while let Some(request) = session.next(&CATALOG) {
            answer(&mut session, request);
        }
        assert!(session.is_finished());
        assert_eq!(ids(&mut session).len(), answered);
        session.feed(&request(9));
        assert!(is_idle(&mut session));
    }
}

#[test]
fn oob_that_is_not_offered() {
    let mut greeting = greeting();
    greeting.oob = false;
    greeting.package = "é".to_owned();
    let mut session = Session::new(&greeting, Style::Compact);
    session.feed(br#"{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}"#);
    assert!(is_idle(&mut session));
    assert!(!session.negotiated());
    assert_eq!(
        String::from_utf8(session.take_output()).unwrap(),
        "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 0, \"major\": 10}, \"package\": \"\\u00E9\"}, \
         \"capabilities\": []}}\r\n\
         {\"error\": {\"class\": \"GenericError\", \"desc\": \"Capability oob not available\"}}\r\n"
    );
}

#[test]
fn before_the_machine_exists() {
    let mut session = session(Mode::Oob);
    session.feed(&[request(1), oob(2)].concat());
    let catalog = Commands { preconfig: true };
    let request = session.next(&catalog).expect("query-yank may run");
    assert!(request.oob);
    answer(&mut session, request);
    assert!(session.next(&catalog).is_none());
    let output = String::from_utf8(session.take_output()).unwrap();
    assert!(output.contains(
        "\"desc\": \"The command 'query-name' is permitted only after machine initialization has completed\""
    ));
}
