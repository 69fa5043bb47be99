//! Screens: what a guest shows at this moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the four bytes of a pixel are laid out in memory; `x` is no colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the bytes in their order")]
pub enum Format {
    Bgrx,
    Xrgb,
    Rgbx,
    Xbgr,
}

impl Format {
    /// Red, green and blue of a pixel.
    fn colours(self, [a, b, c, d]: [u8; 4]) -> [u8; 3] {
        match self {
            Self::Bgrx => [c, b, a],
            Self::Xrgb => [b, c, d],
            Self::Rgbx => [a, b, c],
            Self::Xbgr => [d, c, b],
        }
    }
}

/// Bytes of a pixel.
pub const PIXEL: usize = 4;

/// A part of an image, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// How wide it is.
    pub width: u32,
    /// How high it is.
    pub height: u32,
}

impl Area {
    /// Whether it is inside an image of that size.
    #[must_use]
    pub fn fits(&self, width: u32, height: u32) -> bool {
        let ends = |start: u32, length: u32| start.checked_add(length);
        ends(self.x, self.width).is_some_and(|end| end <= width)
            && ends(self.y, self.height).is_some_and(|end| end <= height)
    }
}

/// Pixels that a device draws and a screen may show.
#[derive(Debug)]
pub struct Image {
    width: u32,
    height: u32,
    format: Format,
    bytes: Mutex<Vec<u8>>,
}

impl Image {
    /// A black image. The caller bounds its size.
    #[must_use]
    pub fn new(width: u32, height: u32, format: Format) -> Arc<Self> {
        let length = width as usize * height as usize * PIXEL;
        Arc::new(Self {
            width,
            height,
            format,
            bytes: Mutex::new(vec![0; length]),
        })
    }

    /// How wide it is.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// How high it is.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Has `draw` change the bytes, line by line from the top.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut [u8]) -> T) -> T {
        draw(&mut self.bytes())
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A screen.
#[derive(Debug)]
pub struct Screen {
    device: Option<String>,
    head: u32,
    content: Mutex<Content>,
}

#[derive(Clone, Debug)]
enum Content {
    /// Nothing, in this size.
    Blank(u32, u32),
    Shown(Arc<Image>, Area),
}

/// What was on a screen at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// How wide it is.
    pub width: u32,
    /// How high it is.
    pub height: u32,
    /// Red, green and blue of each pixel, line by line from the top.
    pub colours: Vec<u8>,
}

impl Screen {
    /// Shows a part of an image from now on, whatever is drawn there. The area is inside it.
    pub fn show(&self, image: Arc<Image>, area: Area) {
        *self.content() = Content::Shown(image, area);
    }

    /// Shows nothing, in the size of what it showed.
    pub fn blank(&self) {
        let mut content = self.content();
        if let Content::Shown(_, area) = &*content {
            *content = Content::Blank(area.width, area.height);
        }
    }

    /// What it shows now.
    #[must_use]
    pub fn picture(&self) -> Picture {
        let content = self.content().clone();
        let (width, height, colours) = match content {
            Content::Blank(width, height) => {
                let length = width as usize * height as usize * 3;
                (width, height, vec![0; length])
            }
            Content::Shown(image, area) => (area.width, area.height, colours(&image, area)),
        };
        Picture {
            width,
            height,
            colours,
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn colours(image: &Image, area: Area) -> Vec<u8> {
    let stride = image.width as usize * PIXEL;
    let bytes = image.bytes();
    let lines = bytes.chunks_exact(stride);
    let lines = lines.skip(area.y as usize).take(area.height as usize);
    let (start, length) = (area.x as usize * PIXEL, area.width as usize * PIXEL);
    let pixels = lines.flat_map(|line| line[start..start + length].as_chunks().0);
    pixels
        .flat_map(|pixel| image.format.colours(*pixel))
        .collect()
}

/// The screens of a machine. Clones are the same set; usable from any thread.
#[derive(Clone, Debug, Default)]
pub struct Screens(Arc<Mutex<Vec<Arc<Screen>>>>);

impl Screens {
    /// The size of a screen that has never shown anything.
    const BLANK: Content = Content::Blank(640, 480);

    /// Adds a screen of a device with that id, and returns it.
    #[must_use]
    pub fn add(&self, device: Option<&str>, head: u32) -> Arc<Screen> {
        let screen = Arc::new(Screen {
            device: device.map(str::to_owned),
            head,
            content: Mutex::new(Self::BLANK),
        });
        self.list().push(Arc::clone(&screen));
        screen
    }

    /// The number of a screen, by the id of its device.
    #[must_use]
    pub fn find(&self, device: &str, head: i64) -> Option<usize> {
        self.list().iter().position(|screen| {
            screen.device.as_deref() == Some(device) && i64::from(screen.head) == head
        })
    }

    /// The screen of that number; the first one is what people see first.
    #[must_use]
    pub fn screen(&self, number: usize) -> Option<Arc<Screen>> {
        self.list().get(number).cloned()
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Screen>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
