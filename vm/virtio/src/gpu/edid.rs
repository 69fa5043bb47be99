//! What a monitor tells of itself (VESA E-EDID 1.4, the base block).

/// A monitor whose favourite size is this.
pub fn edid(width: u32, height: u32) -> [u8; 128] {
    let mut block = [0; 128];
    block[..8].copy_from_slice(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    // "RHT", product and serial number, the year of manufacture.
    block[8..18].copy_from_slice(&[0x49, 0x14, 0x34, 0x12, 0, 0, 0, 0, 0xff, 24]);
    // Version 1.4; digital with 8 bits a colour.
    block[18..21].copy_from_slice(&[1, 4, 0xa5]);
    let centimetres = |pixels: u32| (pixels * 254 / DPI / 100).clamp(1, 255) as u8;
    block[21..24].copy_from_slice(&[centimetres(width), centimetres(height), 120]);
    // sRGB, with the detailed timing as the favourite.
    block[24] = 0x06;
    block[25..35].copy_from_slice(&SRGB);
    block[38..54].fill(1);
    block[54..72].copy_from_slice(&timing(width, height));
    block[72..90].copy_from_slice(&RANGES);
    block[90..108].copy_from_slice(&text(0xfc, b"QEMU Monitor"));
    block[108..126].copy_from_slice(&text(0x10, b""));
    let sum = block.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    block[127] = sum.wrapping_neg();
    block
}

/// Pixels in an inch.
const DPI: u32 = 100;

/// The colours of sRGB.
const SRGB: [u8; 10] = [0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54];

/// 50 to 125 pictures and 30 to 160 thousand lines a second, up to 2.55 GHz.
const RANGES: [u8; 18] = [
    0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 255, 1, 10, 32, 32, 32, 32, 32, 32,
];

/// The detailed timing of a size, 75 times a second; gaps are as wide as is usual.
fn timing(width: u32, height: u32) -> [u8; 18] {
    let (across, down) = (width * 35 / 100, height * 35 / 1000);
    let (front, sync) = (width * 25 / 100, width * 3 / 100);
    let (front_lines, sync_lines) = (height * 5 / 1000, height * 5 / 1000);
    let clock = u64::from(width + across) * u64::from(height + down) * 75 / 10_000;
    let clock = clock.min(0xffff) as u16;
    let low = |number: u32| number as u8;
    let high = |a: u32, b: u32| low((a >> 8 & 0xf) << 4 | (b >> 8 & 0xf));
    let millimetres = |pixels: u32| pixels * 254 / DPI / 10;
    let (wide, tall) = (millimetres(width), millimetres(height));
    let [clock_low, clock_high] = clock.to_le_bytes();
    [
        clock_low,
        clock_high,
        low(width),
        low(across),
        high(width, across),
        low(height),
        low(down),
        high(height, down),
        low(front),
        low(sync),
        low((front_lines & 0xf) << 4 | (sync_lines & 0xf)),
        low((front >> 8 & 3) << 6 | (sync >> 8 & 3) << 4),
        low(wide),
        low(tall),
        high(wide, tall),
        0,
        0,
        0x18,
    ]
}

/// A descriptor of text.
fn text(tag: u8, text: &[u8]) -> [u8; 18] {
    let mut descriptor = [b' '; 18];
    descriptor[..5].copy_from_slice(&[0, 0, 0, tag, 0]);
    descriptor[5..5 + text.len()].copy_from_slice(text);
    if let Some(end) = descriptor.get_mut(5 + text.len()) {
        *end = b'\n';
    }
    descriptor
}
