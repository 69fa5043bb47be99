use std::collections::VecDeque;

use super::*;

#[derive(Default)]
struct Line {
    sent: Vec<u8>,
    room: usize,
    incoming: VecDeque<u8>,
    breaks: Vec<bool>,
}

impl SerialBackend for Mutex<Line> {
    fn write(&self, bytes: &[u8]) -> usize {
        let mut line = self.lock().unwrap();
        let count = bytes.len().min(line.room);
        line.room -= count;
        line.sent.extend(&bytes[..count]);
        count
    }

    fn read(&self, room: &mut [u8]) -> usize {
        let mut line = self.lock().unwrap();
        let count = room.len().min(line.incoming.len());
        for (place, byte) in room.iter_mut().zip(line.incoming.drain(..count)) {
            *place = byte;
        }
        count
    }

    fn set_break(&self, on: bool) {
        self.lock().unwrap().breaks.push(on);
    }
}

struct Port {
    clock: Arc<Clock>,
    irq: IrqLine,
    line: Arc<Mutex<Line>>,
    uart: Arc<Uart>,
}

impl Port {
    fn new() -> Self {
        let line = Arc::new(Mutex::new(Line {
            room: usize::MAX,
            ..Line::default()
        }));
        let (clock, irq) = (Clock::new(), IrqLine::unconnected());
        let uart = Uart::new(Arc::clone(&clock), irq.clone(), line.clone());
        Self {
            clock,
            irq,
            line,
            uart,
        }
    }

    fn arrive(&self, bytes: &[u8]) {
        self.line.lock().unwrap().incoming.extend(bytes);
        self.uart.readable();
    }

    /// Plays `wOFFSET=VALUE` and `rOFFSET=EXPECTED` steps, all in hexadecimal.
    fn play(&self, script: &str) {
        for step in script.split_whitespace() {
            let (place, value) = step[1..].split_once('=').unwrap();
            let offset = u64::from_str_radix(place, 16).unwrap();
            let value = u64::from_str_radix(value, 16).unwrap();
            match &step[..1] {
                "w" => self.uart.write(offset, 1, value),
                _ => assert_eq!(self.uart.read(offset, 1), value, "{step} in {script}"),
            }
        }
    }
}

#[test]
fn power_on_values() {
    Port::new().play("r0=0 r1=0 r2=1 r3=0 r4=8 r5=60 r6=b0 r7=0 w3=80 r0=c r1=0");
}

#[test]
fn scratch_divisor_and_masks() {
    Port::new().play("w7=5a r7=5a w3=80 w0=34 w1=12 r0=34 r1=12 w3=3 r1=0 w1=ff r1=f w4=ff r4=1f");
}

#[test]
fn loopback_returns_outputs_and_bytes() {
    let port = Port::new();
    port.play("w4=1a r6=90 w4=1f r6=f0 w0=41 r5=61 r0=41 r5=60");
    assert!(port.line.lock().unwrap().sent.is_empty());
}

#[test]
fn transmitting_raises_the_empty_interrupt() {
    let port = Port::new();
    port.play("w1=2");
    assert!(port.irq.level());
    port.play("r2=2");
    assert!(!port.irq.level(), "reading IIR acknowledged it");
    port.play("w0=48 r5=60");
    assert!(port.irq.level());
    assert_eq!(port.line.lock().unwrap().sent, b"H");
}

#[test]
fn a_full_back_end_keeps_the_transmitter_busy() {
    let port = Port::new();
    port.line.lock().unwrap().room = 1;
    port.play("w2=1 w1=2 r2=c2 w0=41 w0=42 w0=43 r5=0 r2=c1");
    assert!(!port.irq.level());
    port.line.lock().unwrap().room = 9;
    port.uart.writable();
    port.play("r5=60 r2=c2");
    assert_eq!(port.line.lock().unwrap().sent, b"ABC");
}

#[test]
fn received_bytes_wait_in_the_fifo() {
    let port = Port::new();
    port.play("w2=41 w1=1");
    port.arrive(b"abc");
    assert!(
        !port.irq.level(),
        "three are below the trigger level of four"
    );
    port.arrive(b"d");
    port.play("r2=c4 r5=61 r0=61 r2=c1 r0=62 r0=63 r0=64 r5=60 r0=0");
}

#[test]
fn bytes_below_the_trigger_time_out() {
    let port = Port::new();
    port.play("w2=c1 w1=1 w3=3");
    port.arrive(b"x");
    assert!(!port.irq.level());
    port.clock.step_to(crate::NANOS_PER_SECOND);
    port.play("r2=cc r0=78 r2=c1");
    assert!(!port.irq.level());
}

#[test]
fn more_input_than_room_waits_in_the_back_end() {
    let port = Port::new();
    let text: Vec<u8> = (0..40).collect();
    port.arrive(&text);
    for byte in text {
        assert_eq!(port.uart.read(0, 1), byte.into());
    }
    port.play("r5=60");
}

#[test]
fn breaks_travel_both_ways() {
    let port = Port::new();
    port.play("w1=4 w3=40 w3=43 w3=3");
    assert_eq!(port.line.lock().unwrap().breaks, [true, false]);
    port.uart.receive_break();
    assert!(port.irq.level());
    port.play("r2=6 r5=71 r5=61 r2=1 r0=0 r5=60");
}

#[test]
fn a_reset_forgets_everything() {
    let port = Port::new();
    port.play("w2=1 w1=f w3=1b w4=0 w7=1");
    port.uart.reset();
    port.play("r0=0 r1=0 r2=1 r3=0 r4=8 r5=60 r7=0");
    assert!(!port.irq.level());
}

#[test]
fn no_access_panics() {
    let port = Port::new();
    for value in 0..=255u64 {
        for (offset, size) in (0..16).flat_map(|offset| [1, 2, 4, 8].map(|size| (offset, size))) {
            port.uart.write(offset, size, value);
            port.uart.read(offset, size);
        }
    }
}
