//! Pictures as files: PPM, and PNG (ISO/IEC 15948) without filters.

use std::io::{self, Write};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use crate::screen::Picture;

impl Picture {
    /// Writes it as PPM.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_ppm(&self, mut out: impl Write) -> io::Result<()> {
        write!(out, "P6\n{} {}\n255\n", self.width, self.height)?;
        out.write_all(&self.colours)
    }

    /// Writes it as PNG.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_png(&self, mut out: impl Write) -> io::Result<()> {
        /// Eight bits for each of red, green and blue; everything else as the only one there is.
        const TRUE_COLOUR: [u8; 5] = [8, 2, 0, 0, 0];
        let (width, height) = (self.width.to_be_bytes(), self.height.to_be_bytes());
        let header = [&width[..], &height, &TRUE_COLOUR].concat();
        let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
        let stride = (self.width as usize * 3).max(1);
        for line in self.colours.chunks_exact(stride) {
            pixels.write_all(&[0])?;
            pixels.write_all(line)?;
        }
        out.write_all(b"\x89PNG\r\n\x1a\n")?;
        chunk(&mut out, b"IHDR", &header)?;
        chunk(&mut out, b"IDAT", &pixels.finish()?)?;
        chunk(&mut out, b"IEND", &[])
    }
}

fn chunk(out: &mut impl Write, kind: &[u8; 4], data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len()).map_err(io::Error::other)?;
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    out.write_all(&length.to_be_bytes())?;
    out.write_all(kind)?;
    out.write_all(data)?;
    out.write_all(&crc.sum().to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        Picture {
            width: 2,
            height: 1,
            colours: vec![1, 2, 3, 250, 251, 252],
        }
    }

    #[test]
    fn ppm() {
        let mut file = Vec::new();
        picture().write_ppm(&mut file).unwrap();
        assert_eq!(file, b"P6\n2 1\n255\n\x01\x02\x03\xfa\xfb\xfc");
    }

    #[test]
    fn png() {
        let mut file = Vec::new();
        picture().write_png(&mut file).unwrap();
        let header =
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x01\x08\x02\0\0\0\x7b\x40\xe8\xdd";
        assert_eq!(&file[..33], header);
        assert!(file.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        let length = u32::from_be_bytes(file[33..37].try_into().unwrap()) as usize;
        let mut pixels = Vec::new();
        let mut decoder = flate2::read::ZlibDecoder::new(&file[41..41 + length]);
        io::Read::read_to_end(&mut decoder, &mut pixels).unwrap();
        assert_eq!(pixels, [0, 1, 2, 3, 250, 251, 252]);
    }
}
