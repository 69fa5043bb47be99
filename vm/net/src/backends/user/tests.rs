//! The whole network, with a guest that speaks through frames.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use tinamou_chardev::Chardevs;
use tokio::runtime::Runtime;

use super::UserConfig;
use super::tcb::{Segment, Tcb};
use super::wire::{Ethernet, Ip, Route, Tcp, Udp, ethertype, flags, protocol};
use crate::mac::MacAddress;
use crate::offload::{fold, sum};
use crate::{Config, Frame, Network, Nic, NicConfig};

const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const GATEWAY: MacAddress = MacAddress([0x52, 0x55, 10, 0, 2, 2]);
const PATIENCE: Duration = Duration::from_secs(20);

struct Guest {
    runtime: Runtime,
    network: Network,
    nic: Nic,
}

fn guest(config: UserConfig) -> Guest {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let chardevs = Chardevs::new(runtime.handle().clone());
    let network = Network::new(runtime.handle().clone(), chardevs, |_| {});
    network
        .add("u", Config::User(Box::new(config)))
        .expect("a network");
    let nic = NicConfig {
        netdev: Some("u".to_owned()),
        ..NicConfig::default()
    };
    let nic = network.add_nic(nic).expect("a card");
    Guest {
        runtime,
        network,
        nic,
    }
}

impl Guest {
    fn send(&self, bytes: Vec<u8>) {
        self.nic.port().try_send(bytes.into()).expect("room");
    }

    /// Lets the network work.
    fn pause(&self, milliseconds: u64) {
        let time = Duration::from_millis(milliseconds);
        self.runtime
            .block_on(async { tokio::time::sleep(time).await });
    }

    fn recv_within(&self, time: Duration) -> Option<Frame> {
        let port = self.nic.port();
        self.runtime
            .block_on(async { tokio::time::timeout(time, port.recv()).await.ok() })
    }

    fn recv(&self) -> Frame {
        self.recv_within(PATIENCE).expect("an answer")
    }

    fn ip(&self, destination: Ipv4Addr, protocol: u8, payload: &[u8]) {
        let route = Route {
            source: GUEST.into(),
            destination: destination.into(),
            protocol,
        };
        let mut bytes = route.headers(GATEWAY, MAC, payload.len());
        bytes.extend(payload);
        self.send(bytes);
    }

    fn udp(&self, from: u16, to: (Ipv4Addr, u16), payload: &[u8]) {
        let length = (8 + payload.len()) as u16;
        let mut datagram = Vec::new();
        datagram.extend(from.to_be_bytes());
        datagram.extend(to.1.to_be_bytes());
        datagram.extend(length.to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(payload);
        self.ip(to.0, protocol::UDP, &datagram);
    }

    fn tcp(&self, to: Ipv4Addr, segment: &Segment) {
        let route = Route {
            source: GUEST.into(),
            destination: to.into(),
            protocol: protocol::TCP,
        };
        let length = segment.tcp.length() + segment.payload.len();
        let mut bytes = route.headers(GATEWAY, MAC, length);
        let start = bytes.len();
        segment.tcp.write(&mut bytes, fold(route.pseudo(length)));
        bytes.extend(&segment.payload);
        let checksum = !fold(sum(&bytes[start..]));
        bytes[start + 16..start + 18].copy_from_slice(&checksum.to_be_bytes());
        self.send(bytes);
    }

    /// Carries a connection on until `done`, collecting what comes.
    fn carry(
        &self,
        to: Ipv4Addr,
        tcb: &mut Tcb,
        mut done: impl FnMut(&Tcb, &[u8]) -> bool,
    ) -> Vec<u8> {
        let mut got = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(segment) = tcb.next_segment(Instant::now()) {
                for piece in pieces(segment) {
                    self.tcp(to, &piece);
                }
            }
            let input = tcb.input().to_vec();
            tcb.consume(input.len());
            got.extend(input);
            if done(tcb, &got) {
                return got;
            }
            assert!(Instant::now() < deadline, "{tcb:?}");
            let Some(frame) = self.recv_within(Duration::from_millis(5)) else {
                continue;
            };
            if answer_arp(self, &frame) {
                continue;
            }
            if let Some((tcp, payload)) = tcp_of(&frame) {
                tcb.take(&tcp, &payload, Instant::now());
            }
        }
    }
}

/// The guest has no segmentation offload.
fn pieces(segment: Segment) -> Vec<Segment> {
    if segment.payload.len() <= 1460 {
        return vec![segment];
    }
    let chunks = segment.payload.chunks(1460).enumerate();
    chunks
        .map(|(index, chunk)| Segment {
            tcp: Tcp {
                sequence: segment.tcp.sequence.wrapping_add(1460 * index as u32),
                flags: match (index + 1) * 1460 < segment.payload.len() {
                    true => flags::ACK,
                    false => segment.tcp.flags,
                },
                ..segment.tcp
            },
            payload: chunk.to_vec(),
            mss: 0,
        })
        .collect()
}

fn tcp_of(frame: &Frame) -> Option<(Tcp, Vec<u8>)> {
    let ethernet = Ethernet::parse(frame)?;
    let ip = Ip::parse_v4(ethernet.payload)?;
    assert!(
        ip.protocol != protocol::TCP || ip.is_sound(),
        "a wrong checksum"
    );
    let (tcp, header) = Tcp::parse(ip.payload).filter(|_| ip.protocol == protocol::TCP)?;
    Some((tcp, ip.payload[header..].to_vec()))
}

/// Answers when the network asks where the guest is.
fn answer_arp(guest: &Guest, frame: &Frame) -> bool {
    if frame.get(12..14) != Some(&ethertype::ARP.to_be_bytes())
        || frame.get(20..22) != Some(&[0, 1])
    {
        return false;
    }
    let mut answer = frame.to_vec();
    answer[..6].copy_from_slice(&GATEWAY.0);
    answer[6..12].copy_from_slice(&MAC.0);
    answer[21] = 2;
    let (asker, asked) = (answer[22..32].to_vec(), answer[38..42].to_vec());
    answer[22..28].copy_from_slice(&MAC.0);
    answer[28..32].copy_from_slice(&asked);
    answer[32..42].copy_from_slice(&asker);
    guest.send(answer);
    true
}

fn syn(to: u16, from: u16) -> Tcb {
    Tcb::call((from, to), 0x7fff_fff0)
}

fn local(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("an address").port()
}

#[test]
fn tcp_to_the_host_and_back() {
    let guest = guest(UserConfig::default());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = local(&listener);
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a peer");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("all");
        stream.write_all(&bytes).expect("sent back");
        bytes.len()
    });
    let content: Vec<u8> = (0..500_000u32).map(|i| (i >> 4) as u8).collect();
    let mut rest = &content[..];
    let mut tcb = syn(port, 2000);
    let mut sent_all = false;
    let got = {
        let mut filled = |tcb: &mut Tcb| {
            let count = tcb.room().min(rest.len());
            tcb.push(&rest[..count]);
            rest = &rest[count..];
            if rest.is_empty() && count > 0 {
                tcb.close();
                sent_all = true;
            }
        };
        let mut got = Vec::new();
        while got.len() < content.len() {
            got.extend(guest.carry(HOST, &mut tcb, |tcb, new| tcb.room() > 0 || !new.is_empty()));
            filled(&mut tcb);
        }
        got
    };
    assert!(sent_all && got == content);
    assert_eq!(echo.join().expect("echoed"), content.len());
    guest.carry(HOST, &mut tcb, |tcb, _| tcb.is_over());
}

#[test]
fn a_port_where_nobody_listens() {
    let guest = guest(UserConfig::default());
    let port = local(&TcpListener::bind("127.0.0.1:0").expect("a port"));
    let mut tcb = syn(port, 2000);
    guest.carry(HOST, &mut tcb, |tcb, _| tcb.is_over());
    assert!(tcb.was_reset());
}

#[test]
fn restrict_lets_nothing_out() {
    let guest = guest(UserConfig {
        restrict: true,
        ..UserConfig::default()
    });
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut tcb = syn(local(&listener), 2000);
    guest.carry(HOST, &mut tcb, |tcb, _| tcb.is_over());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a timeout");
    guest.udp(
        3000,
        (HOST, socket.local_addr().expect("an address").port()),
        b"x",
    );
    assert_eq!(guest.recv_within(Duration::from_millis(10)), None);
    assert!(socket.recv(&mut [0; 8]).is_err());
}

#[test]
fn a_forwarded_port() {
    let guest = guest(UserConfig {
        hostfwd: vec!["tcp:127.0.0.1:0-:22".to_owned()],
        ..UserConfig::default()
    });
    let table = guest.network.describe_users();
    let line = table.lines().nth(2).expect("a rule");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[0], "TCP[HOST_FORWARD]", "{table}");
    assert_eq!(words[4..], ["10.0.2.15", "22", "0", "0"], "{table}");
    let port: u16 = words[3].parse().expect("a port");
    let peer = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("connected");
        stream.write_all(b"hello").expect("sent");
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).expect("an answer");
        answer
    });
    let call = loop {
        let frame = guest.recv();
        if !answer_arp(&guest, &frame) {
            break tcp_of(&frame).expect("a call").0;
        }
    };
    assert_eq!((call.flags, call.destination), (flags::SYN, 22));
    let mut tcb = Tcb::answer(&call, 77);
    guest.carry(HOST, &mut tcb, |_, got| got == b"hello");
    tcb.push(b"hi");
    guest.carry(HOST, &mut tcb, |tcb, _| tcb.queues().1 == 0);
    guest.pause(20);
    assert_eq!(peer.join().expect("answered"), *b"hi");
    let rule = format!("tcp:127.0.0.1:{port}");
    assert!(
        guest
            .network
            .remove_host_forward(None, &rule)
            .expect("a rule")
    );
    assert!(
        !guest
            .network
            .remove_host_forward(Some("u"), &rule)
            .expect("no rule")
    );
}

#[test]
fn udp_there_and_back() {
    let guest = guest(UserConfig::default());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let port = socket.local_addr().expect("an address").port();
    guest.udp(3000, (HOST, port), b"question");
    guest.pause(20);
    let mut bytes = [0; 64];
    let (length, from) = socket.recv_from(&mut bytes).expect("a datagram");
    assert_eq!(&bytes[..length], b"question");
    for answer in [vec![1; 9], vec![2; 4000]] {
        socket.send_to(&answer, from).expect("sent");
        let mut got = Vec::new();
        while got.len() < answer.len() + 8 {
            let frame = guest.recv();
            let ethernet = Ethernet::parse(&frame).expect("a frame");
            let ip = Ip::parse_v4(ethernet.payload).expect("a packet");
            assert_eq!(ip.source, IpAddr::V4(HOST));
            got.extend(ip.payload);
        }
        let udp = Udp::parse(&got).expect("a datagram");
        assert_eq!((udp.source, udp.destination), (port, 3000));
        assert_eq!(udp.payload, answer);
    }
}

#[test]
fn the_gateway_answers() {
    let guest = guest(UserConfig::default());
    let mut question = vec![0xff; 6];
    question.extend(MAC.0);
    question.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    question.extend(MAC.0);
    question.extend(GUEST.octets());
    question.extend([0; 6]);
    question.extend([10, 0, 2, 3]);
    guest.send(question);
    let answer = guest.recv();
    assert_eq!(answer[20..28], [0, 2, 0x52, 0x55, 10, 0, 2, 3]);
    let mut echo = vec![8, 0, 0, 0, 1, 2, 3, 4, 5, 6];
    let checksum = !fold(sum(&echo));
    echo[2..4].copy_from_slice(&checksum.to_be_bytes());
    guest.ip(HOST, protocol::ICMP, &echo);
    let answer = guest.recv();
    assert_eq!(answer[34], 0);
    assert_eq!(answer[38..], echo[4..]);
    assert_eq!(fold(sum(&answer[34..])), 0xffff);
}

#[test]
fn routers_and_neighbours() {
    let guest = guest(UserConfig::default());
    let source: IpAddr = "fe80::5054:ff:fe12:3456".parse().expect("an address");
    let check = |message: Vec<u8>, to: &str, expected: u8| {
        let mut message = message;
        let route = Route {
            source,
            destination: to.parse().expect("an address"),
            protocol: protocol::ICMPV6,
        };
        let checksum = !fold(route.pseudo(message.len()) + sum(&message));
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        let mut bytes = route.headers(GATEWAY, MAC, message.len());
        bytes.extend(message);
        guest.send(bytes);
        let answer = guest.recv();
        let ip = Ip::parse_v6(Ethernet::parse(&answer).expect("a frame").payload).expect("IPv6");
        assert!(ip.is_sound());
        assert_eq!(ip.payload[0], expected, "{to}");
        ip.payload.to_vec()
    };
    let advertisement = check(vec![133, 0, 0, 0, 0, 0, 0, 0], "ff02::2", 134);
    assert!(
        advertisement
            .windows(4)
            .any(|window| window == [3, 4, 64, 0xc0])
    );
    let mut question = vec![135, 0, 0, 0, 0, 0, 0, 0];
    question.extend("fec0::2".parse::<Ipv6Addr>().expect("an address").octets());
    check(question, "ff02::1:ff00:2", 136);
    check(vec![128, 0, 0, 0, 0, 1, 0, 2, 9], "fec0::2", 129);
}

/// DHCPv6: what is the name server?
fn information_request() -> Vec<u8> {
    let route = Route {
        source: "fe80::1".parse().expect("an address"),
        destination: "ff02::1:2".parse().expect("an address"),
        protocol: protocol::UDP,
    };
    let mut datagram = b"\x02\x22\x02\x23\0\x12\0\0\x0b\x01\x02\x03\0\x06\0\x02\0\x17".to_vec();
    let checksum = !fold(route.pseudo(datagram.len()) + sum(&datagram));
    datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
    let mut bytes = route.headers(GATEWAY, MAC, datagram.len());
    bytes.extend(datagram);
    bytes
}

#[test]
fn the_name_server_is_told_by_dhcpv6() {
    let guest = guest(UserConfig::default());
    guest.send(information_request());
    let answer = guest.recv();
    let ip = Ip::parse_v6(Ethernet::parse(&answer).expect("a frame").payload).expect("IPv6");
    assert!(ip.is_sound());
    let ports_and_head = [&[2, 0x23, 2, 0x22][..], &[7, 1, 2, 3]].concat();
    assert_eq!(
        [&ip.payload[..4], &ip.payload[8..12]].concat(),
        ports_and_head
    );
    let server: Ipv6Addr = "fec0::3".parse().expect("an address");
    assert!(ip.payload.ends_with(&server.octets()));
}

#[test]
fn a_program_behind_a_port() {
    let guest = guest(UserConfig {
        guestfwd: vec!["tcp:10.0.2.100:1234-cmd:tr a-z A-Z".to_owned()],
        ..UserConfig::default()
    });
    let server = Ipv4Addr::new(10, 0, 2, 100);
    let mut tcb = syn(1234, 2000);
    guest.carry(server, &mut tcb, |tcb, _| tcb.room() > 0);
    tcb.push(b"shout");
    tcb.close();
    let got = guest.carry(server, &mut tcb, |tcb, _| tcb.is_closed_by_guest());
    assert_eq!(got, b"SHOUT");
}

#[test]
fn limits() {
    let guest = guest(UserConfig::default());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (port, sink) = (
        local(&listener),
        UdpSocket::bind("127.0.0.1:0").expect("a port"),
    );
    let sink_port = sink.local_addr().expect("an address").port();
    for from in 1000..3000 {
        let segment = syn(port, from)
            .next_segment(Instant::now())
            .expect("a call");
        guest.tcp(HOST, &segment);
        guest.udp(from, (HOST, sink_port), b"x");
        if from % 50 == 0 {
            guest.pause(1);
            while guest.nic.port().try_recv().is_some() {}
        }
    }
    let table = guest.network.describe_users();
    let count = |kind: &str| table.lines().filter(|line| line.contains(kind)).count();
    assert!(count("TCP[") <= 512, "{}", count("TCP["));
    assert!(count("UDP[") <= 257, "{}", count("UDP["));
}

#[test]
fn rules_that_cannot_be() {
    let guest = guest(UserConfig::default());
    let port = local(&TcpListener::bind("127.0.0.1:0").expect("a port"));
    let rule = format!("tcp:127.0.0.1:{port}-:22");
    let add = |rule: &str| guest.network.add_host_forward(Some("u"), rule);
    add(&rule).expect("a free port");
    let error = add(&rule).expect_err("taken");
    assert_eq!(
        error.to_string(),
        format!("Could not set up host forwarding rule '{rule}'")
    );
    let error = guest
        .network
        .add_host_forward(Some("v"), &rule)
        .expect_err("no such id");
    assert_eq!(error.to_string(), "unrecognized netdev id 'v'");
}

/// Frames of every kind, and the same with bytes changed, cut off and added.
#[test]
fn no_frame_upsets_it() {
    let guest = guest(UserConfig::default());
    let mut call = Vec::new();
    syn(9, 2000)
        .next_segment(Instant::now())
        .expect("a call")
        .tcp
        .write(&mut call, 0);
    let packet = |to: Ipv4Addr, protocol: u8, payload: &[u8]| {
        let route = Route {
            source: GUEST.into(),
            destination: to.into(),
            protocol,
        };
        let mut bytes = route.headers(GATEWAY, MAC, payload.len());
        bytes.extend(payload);
        bytes
    };
    let v6 = Route {
        source: "fe80::1".parse().expect("an address"),
        destination: "fec0::2".parse().expect("an address"),
        protocol: protocol::ICMPV6,
    };
    let mut neighbour = v6.headers(GATEWAY, MAC, 32);
    neighbour.extend([135; 32]);
    let mut lease = vec![1, 1, 6, 0];
    lease.resize(236, 0);
    lease.extend([99, 130, 83, 99, 53, 1, 1, 255]);
    let seeds = [
        packet(HOST, protocol::TCP, &call),
        packet(
            HOST,
            protocol::UDP,
            &[&[0, 68, 0, 67, 0, 0, 0, 0], &lease[..]].concat(),
        ),
        packet(
            HOST,
            protocol::UDP,
            b"\x0b\xb8\0\x45\0\x12\0\0\0\x01x\0octet\0",
        ),
        packet(HOST, protocol::ICMP, &[8, 0, 0, 0, 0, 1, 0, 2]),
        neighbour,
        information_request(),
        vec![0xff; 42],
    ];
    let mut random = 7u64;
    let mut next = move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize
    };
    for round in 0..20_000 {
        let mut frame = seeds[next() % seeds.len()].clone();
        for _ in 0..next() % 6 {
            let at = next() % frame.len();
            frame[at] = next() as u8;
        }
        if next() % 4 == 0 {
            frame.truncate(next() % (frame.len() + 1));
        }
        if frame.len() >= 34 && next() % 2 == 0 {
            // Past the check of the header.
            frame[24..26].fill(0);
            let checksum = !fold(sum(&frame[14..34]));
            frame[24..26].copy_from_slice(&checksum.to_be_bytes());
        }
        guest.send(frame);
        if round % 100 == 0 {
            guest.pause(0);
            while guest.nic.port().try_recv().is_some() {}
        }
    }
    // It still answers.
    guest.pause(20);
    while guest.nic.port().try_recv().is_some() {}
    let port = local(&TcpListener::bind("127.0.0.1:0").expect("a port"));
    let mut tcb = syn(port, 4000);
    guest.carry(HOST, &mut tcb, |tcb, _| tcb.is_over());
}
