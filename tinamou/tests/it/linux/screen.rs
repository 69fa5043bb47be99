//! Screens: what the guest draws is what a screendump shows.

use serde_json::json;

use super::{Boot, Guest, Kernel, Program, on_both};

on_both! { a_screendump_shows_what_the_guest_draws }

const WIDTH: usize = 640;
const HEIGHT: usize = 480;

fn screendump(guest: &mut Guest, format: &str) -> Vec<u8> {
    guest.qmp(
        "screendump",
        json!({"filename": "screen", "device": "g", "format": format}),
    );
    std::fs::read(guest.vm.path("screen")).expect("a picture")
}

fn a_screendump_shows_what_the_guest_draws(program: Program) {
    let card = format!("-device virtio-gpu-pci,id=g,xres={WIDTH},yres={HEIGHT}");
    let Some(mut guest) = Boot::new(program, Kernel::Debian).with(&card).up() else {
        return;
    };
    guest.run("modprobe virtio_gpu");
    let header = format!("P6\n{WIDTH} {HEIGHT}\n255\n");
    for (colour, pixel) in [(41, [170, 0, 0]), (42, [0, 170, 0]), (44, [0, 0, 170])] {
        // The kernel's console fills the screen with its background.
        guest.run(&format!(
            "printf '\\033[?25l\\033[{colour}m\\033[2J' >/dev/tty1"
        ));
        let expected = [header.as_bytes(), &pixel.repeat(WIDTH * HEIGHT)].concat();
        // The kernel sends it to the card a little later.
        let shown = (0..1000).any(|_| {
            guest.run("usleep 10000");
            screendump(&mut guest, "ppm") == expected
        });
        assert!(shown, "the screen never shows colour {colour}");
    }
    let png = screendump(&mut guest, "png");
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02"));
    guest.power_off();
}
