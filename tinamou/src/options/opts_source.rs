//! Fills a schema type from `key=value` pairs, as QEMU fills objects from
//! options: one flat level, with faults worded in a way of its own.

use super::value;
use tinamou_qmp::{Error, Kind, Name, Object, Result, Source, Value};

/// The pairs of one option. A key may come several times; the last one counts,
/// except in lists, where each is an element.
pub(crate) struct OptsSource {
    pairs: Vec<(String, String)>,
    read: Vec<String>,
    depth: usize,
    /// The elements of the list stood in, with the one stood at.
    list: Option<(std::vec::IntoIter<String>, Option<String>)>,
}

impl OptsSource {
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Self {
        Self {
            pairs,
            read: Vec::new(),
            depth: 0,
            list: None,
        }
    }

    fn find(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, text)| text.as_str())
    }

    fn take(&mut self, name: Name<'_>) -> Result<String> {
        if let Some((_, current)) = &mut self.list {
            return current
                .take()
                .ok_or_else(|| Error::missing_parameter(name.unwrap_or_default()));
        }
        let name = name.unwrap_or_default();
        let text = self.find(name).map(str::to_owned);
        self.read.push(name.to_owned());
        text.ok_or_else(|| Error::missing_parameter(name))
    }
}

impl Source for OptsSource {
    fn begin_struct(&mut self, _: Name<'_>) -> Result<()> {
        self.depth += 1;
        Ok(())
    }

    fn end_struct(&mut self) -> Result<()> {
        self.depth -= 1;
        if self.depth > 0 {
            return Ok(());
        }
        let left_over = self.pairs.iter().find(|(key, _)| !self.read.contains(key));
        match left_over {
            Some((key, _)) => Err(Error::generic(format!("Invalid parameter '{key}'"))),
            None => Ok(()),
        }
    }

    fn begin_list(&mut self, name: Name<'_>) -> Result<()> {
        let name = name.unwrap_or_default();
        let all = self.pairs.iter().filter(|(key, _)| key == name);
        let all: Vec<_> = all.map(|(_, text)| text.clone()).collect();
        self.read.push(name.to_owned());
        self.list = Some((all.into_iter(), None));
        Ok(())
    }

    fn next_element(&mut self) -> bool {
        let Some((rest, current)) = &mut self.list else {
            return false;
        };
        *current = rest.next();
        current.is_some()
    }

    fn end_list(&mut self) -> Result<()> {
        self.list = None;
        Ok(())
    }

    fn has(&mut self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn kind(&mut self, _: Name<'_>) -> Result<Kind> {
        Ok(Kind::String)
    }

    fn integer(&mut self, name: Name<'_>) -> Result<i64> {
        let text = self.take(name)?;
        let number = value::parse_integer(&text).map(u64::cast_signed);
        number.map_err(|_| Error::expects(name, "an int64 value"))
    }

    fn unsigned(&mut self, name: Name<'_>) -> Result<u64> {
        let text = self.take(name)?;
        value::parse_integer(&text).map_err(|_| Error::expects(name, "a uint64 value"))
    }

    fn size(&mut self, name: Name<'_>) -> Result<u64> {
        let text = self.take(name)?;
        value::parse_size(&text, 'B').map_err(|_| Error::expects(name, "a size value"))
    }

    fn boolean(&mut self, name: Name<'_>) -> Result<bool> {
        let text = self.take(name)?;
        let key = name.unwrap_or_default();
        value::boolean(key, &text).map_err(|error| Error::generic(error.message()))
    }

    fn number(&mut self, name: Name<'_>) -> Result<f64> {
        let text = self.take(name)?;
        text.parse().map_err(|_| Error::expects(name, "number"))
    }

    fn string(&mut self, name: Name<'_>) -> Result<String> {
        self.take(name)
    }

    fn null(&mut self, name: Name<'_>) -> Result<()> {
        let name = name.unwrap_or_default();
        Err(Error::invalid_type(name, "null"))
    }

    fn any(&mut self, name: Name<'_>) -> Result<Value> {
        self.take(name).map(Value::String)
    }

    fn rest(&mut self) -> Object {
        let rest = self
            .pairs
            .iter()
            .filter(|(key, _)| !self.read.contains(key));
        rest.map(|(key, text)| (key.clone(), Value::String(text.clone())))
            .collect()
    }
}
