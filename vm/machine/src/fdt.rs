//! Flattened device trees: building, writing and reading them (Devicetree Specification 0.4 §5).

use crate::Error;

const MAGIC: u32 = 0xd00d_feed;
const VERSION: u32 = 17;
const LAST_COMPATIBLE_VERSION: u32 = 16;
const HEADER_SIZE: usize = 40;
/// One empty entry ends the memory reservation block.
const RESERVATIONS_SIZE: usize = 16;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// How deep nodes may nest in a tree that is read.
const DEPTH_LIMIT: usize = 64;

/// A node with its properties and children, in the order they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    name: String,
    properties: Vec<(String, Vec<u8>)>,
    children: Vec<Node>,
}

impl Node {
    /// A node without content; the root's name is empty.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Sets a property to bytes, replacing an earlier value.
    pub fn set(&mut self, name: &str, value: Vec<u8>) {
        match self.properties.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.properties.push((name.into(), value)),
        }
    }

    /// With a property that is only there or not.
    #[must_use]
    pub fn flag(self, name: &str) -> Self {
        self.bytes(name, Vec::new())
    }

    /// With 32-bit cells.
    #[must_use]
    pub fn cells(self, name: &str, cells: &[u32]) -> Self {
        self.bytes(
            name,
            cells.iter().flat_map(|cell| cell.to_be_bytes()).collect(),
        )
    }

    /// With one 32-bit cell.
    #[must_use]
    pub fn cell(self, name: &str, cell: u32) -> Self {
        self.cells(name, &[cell])
    }

    /// With a `reg` of one 64-bit address and size.
    #[must_use]
    pub fn reg(self, address: u64, size: u64) -> Self {
        let cells = [address, size].map(u64::to_be_bytes);
        self.bytes("reg", cells.concat())
    }

    /// With a string.
    #[must_use]
    pub fn text(self, name: &str, text: &str) -> Self {
        self.texts(name, &[text])
    }

    /// With a list of strings.
    #[must_use]
    pub fn texts(self, name: &str, texts: &[&str]) -> Self {
        let terminated = texts.iter().flat_map(|text| text.bytes().chain([0]));
        self.bytes(name, terminated.collect())
    }

    /// With a child after those already there.
    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// With many children.
    #[must_use]
    pub fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// The bytes of a property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.properties.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    /// The node's name with its unit address.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All properties in order.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.properties
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// All children in order.
    pub fn nodes(&self) -> impl Iterator<Item = &Self> {
        self.children.iter()
    }

    /// The child of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The child of this name, made when it is not there.
    pub fn child_mut(&mut self, name: &str) -> &mut Self {
        let known = self.children.iter().position(|child| child.name == name);
        let index = known.unwrap_or_else(|| {
            self.children.push(Self::new(name));
            self.children.len() - 1
        });
        &mut self.children[index]
    }

    /// The tree below this root as a device tree blob.
    #[must_use]
    pub fn flatten(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.node(self);
        writer.word(END);
        writer.finish()
    }

    /// Reads a device tree blob.
    ///
    /// # Errors
    /// [`Error::DeviceTree`] says what is wrong with it.
    pub fn parse(blob: &[u8]) -> Result<Self, Error> {
        Reader::new(blob)
            .and_then(|mut reader| reader.root())
            .map_err(Error::DeviceTree)
    }

    fn bytes(mut self, name: &str, value: Vec<u8>) -> Self {
        self.set(name, value);
        self
    }
}

#[derive(Default)]
struct Writer {
    structure: Vec<u8>,
    strings: Vec<u8>,
}

impl Writer {
    fn node(&mut self, node: &Node) {
        self.word(BEGIN_NODE);
        self.padded(node.name.bytes().chain([0]));
        for (name, value) in &node.properties {
            let name = self.string(name);
            self.word(PROP);
            self.word(value.len() as u32);
            self.word(name);
            self.padded(value.iter().copied());
        }
        node.children.iter().for_each(|child| self.node(child));
        self.word(END_NODE);
    }

    /// The offset of a string in the strings block, which holds each once.
    fn string(&mut self, text: &str) -> u32 {
        let terminated: Vec<u8> = text.bytes().chain([0]).collect();
        let known = self
            .strings
            .windows(terminated.len())
            .position(|place| place == terminated);
        let offset = known.unwrap_or_else(|| {
            self.strings.extend(&terminated);
            self.strings.len() - terminated.len()
        });
        offset as u32
    }

    fn word(&mut self, word: u32) {
        self.structure.extend(word.to_be_bytes());
    }

    fn padded(&mut self, bytes: impl Iterator<Item = u8>) {
        self.structure.extend(bytes);
        self.structure
            .resize(self.structure.len().next_multiple_of(4), 0);
    }

    fn finish(self) -> Vec<u8> {
        let structure_at = HEADER_SIZE + RESERVATIONS_SIZE;
        let strings_at = structure_at + self.structure.len();
        let total = strings_at + self.strings.len();
        let header = [
            MAGIC,
            total as u32,
            structure_at as u32,
            strings_at as u32,
            HEADER_SIZE as u32,
            VERSION,
            LAST_COMPATIBLE_VERSION,
            0,
            self.strings.len() as u32,
            self.structure.len() as u32,
        ];
        let mut blob: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
        blob.resize(structure_at, 0);
        blob.extend(self.structure);
        blob.extend(self.strings);
        blob
    }
}

/// What is wrong with a blob.
type Fault = &'static str;

struct Reader<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(blob: &'a [u8]) -> Result<Self, Fault> {
        let header = |index: usize| {
            let word = blob
                .get(index * 4..index * 4 + 4)
                .and_then(|bytes| bytes.try_into().ok());
            word.map(u32::from_be_bytes)
                .ok_or("the header is cut short")
        };
        if header(0)? != MAGIC {
            return Err("the magic number is wrong");
        }
        if header(5)? < LAST_COMPATIBLE_VERSION || header(6)? > VERSION {
            return Err("the version is not supported");
        }
        let total = header(1)? as usize;
        let blob = blob.get(..total).ok_or("the file is cut short")?;
        let block = |offset: u32, size: Option<u32>| {
            let start = offset as usize;
            let end = size.map_or(Some(total), |size| start.checked_add(size as usize));
            blob.get(start..end?)
        };
        // Version 16 does not say how long the structure block is.
        let structure_size = if header(5)? >= VERSION {
            Some(header(9)?)
        } else {
            None
        };
        Ok(Self {
            structure: block(header(2)?, structure_size).ok_or("the structure lies outside")?,
            strings: block(header(3)?, Some(header(8)?)).ok_or("the strings lie outside")?,
        })
    }

    fn root(&mut self) -> Result<Node, Fault> {
        if self.token()? != BEGIN_NODE {
            return Err("the root node is missing");
        }
        let root = self.node(0)?;
        match self.token()? {
            END => Ok(root),
            _ => Err("there is more than one root node"),
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node, Fault> {
        if depth == DEPTH_LIMIT {
            return Err("nodes are nested too deeply");
        }
        let mut node = Node::new(self.name()?);
        loop {
            match self.token()? {
                BEGIN_NODE => node.children.push(self.node(depth + 1)?),
                PROP => {
                    let (name, value) = self.property()?;
                    node.properties.push((name, value));
                }
                END_NODE => return Ok(node),
                _ => return Err("a token is out of place"),
            }
        }
    }

    fn property(&mut self) -> Result<(String, Vec<u8>), Fault> {
        let (length, name) = (self.word()?, self.word()?);
        let value = self.take(length as usize)?.to_vec();
        let tail = self
            .strings
            .get(name as usize..)
            .ok_or("a property name lies outside")?;
        Ok((text(tail)?, value))
    }

    fn name(&mut self) -> Result<String, Fault> {
        let name = text(self.structure)?;
        self.take(name.len() + 1)?;
        Ok(name)
    }

    /// The next token that means something.
    fn token(&mut self) -> Result<u32, Fault> {
        loop {
            match self.word()? {
                NOP => {}
                token => return Ok(token),
            }
        }
    }

    fn word(&mut self) -> Result<u32, Fault> {
        let bytes = self
            .take(4)?
            .try_into()
            .map_err(|_| "the structure is cut short")?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// Takes bytes and the padding after them.
    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let padded = length
            .checked_next_multiple_of(4)
            .ok_or("a length is absurd")?;
        let Some((taken, rest)) = self.structure.split_at_checked(padded) else {
            return Err("the structure is cut short");
        };
        self.structure = rest;
        Ok(&taken[..length])
    }
}

/// The text before the next null byte.
fn text(bytes: &[u8]) -> Result<String, Fault> {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .ok_or("a name does not end")?;
    String::from_utf8(bytes[..end].to_vec()).map_err(|_| "a name is not text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Node {
        Node::new("")
            .cell("#address-cells", 2)
            .text("model", "riscv-virtio,qemu")
            .child(
                Node::new("memory@80000000")
                    .reg(0x8000_0000, 1 << 40)
                    .text("device_type", "memory"),
            )
            .child(
                Node::new("soc")
                    .flag("ranges")
                    .child(Node::new("x").texts("compatible", &["a", "b"])),
            )
    }

    #[test]
    fn what_is_written_can_be_read() {
        let blob = sample().flatten();
        assert_eq!(Node::parse(&blob).unwrap(), sample());
        assert_eq!(
            sample().find("soc").unwrap().property("ranges"),
            Some(&[][..])
        );
    }

    #[test]
    fn a_property_can_be_replaced_and_a_child_made() {
        let mut tree = sample();
        tree.set("model", b"other\0".into());
        tree.child_mut("chosen").set("bootargs", b"quiet\0".into());
        let tree = Node::parse(&tree.flatten()).unwrap();
        assert_eq!(tree.property("model"), Some(&b"other\0"[..]));
        assert_eq!(
            tree.find("chosen").unwrap().property("bootargs"),
            Some(&b"quiet\0"[..])
        );
    }

    #[test]
    fn every_truncation_is_refused() {
        let blob = sample().flatten();
        for length in 0..blob.len() {
            assert!(Node::parse(&blob[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn no_changed_byte_panics() {
        let blob = sample().flatten();
        for place in 0..blob.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = blob.clone();
                changed[place] = value;
                if let Ok(tree) = Node::parse(&changed) {
                    assert!(!tree.flatten().is_empty());
                }
            }
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = (0..100).fold(Node::new("leaf"), |tree, _| Node::new("n").child(tree));
        assert!(Node::parse(&deep.flatten()).is_err());
    }
}
