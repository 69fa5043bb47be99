//! A serial port's bytes: joins the UART to a character device.

use std::sync::{Arc, OnceLock, Weak};

use tinamou_chardev::{Clients, Frontend, SerialEvent, SerialPipe};
use tinamou_devices::uart::{SerialBackend, Uart};

/// A character device as a UART's back end. It is made before the UART, which
/// is told of input once it is known.
pub struct SerialPort {
    pipe: SerialPipe,
    uart: Arc<OnceLock<Weak<Uart>>>,
}

impl SerialPort {
    /// How a serial port uses its character device: one peer at a time.
    pub const CLIENTS: Clients = Clients::One;

    /// Joins a claimed character device.
    pub fn new(frontend: Frontend) -> Self {
        let uart = Arc::new(OnceLock::new());
        let told = Arc::clone(&uart);
        let pipe = SerialPipe::new(frontend, move |event| notify(&told, event));
        Self { pipe, uart }
    }

    /// Waits until the guest's last output has left for the peer.
    pub async fn drained(&self) {
        self.pipe.drained().await;
    }

    /// Says which UART is told of input. Only the first is heard.
    pub fn connect(&self, uart: &Arc<Uart>) {
        if self.uart.set(Arc::downgrade(uart)).is_ok() {
            // What came in before is waiting.
            uart.readable();
        }
    }
}

fn notify(uart: &OnceLock<Weak<Uart>>, event: SerialEvent) {
    let Some(uart) = uart.get().and_then(Weak::upgrade) else {
        return;
    };
    match event {
        SerialEvent::Input => uart.readable(),
        SerialEvent::Writable => uart.writable(),
        SerialEvent::Break => uart.receive_break(),
        _ => {}
    }
}

impl SerialBackend for SerialPort {
    fn write(&self, bytes: &[u8]) -> usize {
        self.pipe.write(bytes)
    }

    fn read(&self, room: &mut [u8]) -> usize {
        self.pipe.read(room)
    }

    fn set_break(&self, _: bool) {
        // No character device of ours can hold a line low.
    }
}
