//! How often requests took how long.

/// Counts by duration: `boundaries` divide time into one more bin than there are boundaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    boundaries: Vec<u64>,
    bins: Vec<u64>,
}

/// Boundaries that do not rise from above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("boundaries must be strictly ascending and above zero")]
pub struct BadBoundaries;

impl Histogram {
    /// An empty histogram with bounds in nanoseconds.
    ///
    /// # Errors
    /// The bounds do not rise.
    pub fn new(boundaries: &[u64]) -> Result<Self, BadBoundaries> {
        let above = |before: Option<&u64>, next: &u64| before.is_none_or(|before| before < next);
        let rise = boundaries
            .windows(2)
            .all(|pair| above(pair.first(), &pair[1]));
        if boundaries.first() == Some(&0) || !rise {
            return Err(BadBoundaries);
        }
        Ok(Self {
            boundaries: boundaries.to_vec(),
            bins: vec![0; boundaries.len() + 1],
        })
    }

    /// The bounds in nanoseconds.
    pub fn boundaries(&self) -> &[u64] {
        &self.boundaries
    }

    /// How many requests fell below each bound, and last how many above all.
    pub fn bins(&self) -> &[u64] {
        &self.bins
    }

    pub(super) fn count(&mut self, nanoseconds: u64) {
        let bin = self
            .boundaries
            .partition_point(|bound| *bound <= nanoseconds);
        self.bins[bin] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_closed_below() {
        let mut histogram = Histogram::new(&[10, 50, 100]).expect("rising");
        for time in [0, 9, 10, 49, 50, 100, 1000] {
            histogram.count(time);
        }
        assert_eq!(histogram.bins(), [2, 2, 1, 2]);
    }

    #[test]
    fn boundaries_must_rise() {
        for bad in [&[0, 1][..], &[2, 2], &[3, 1]] {
            assert_eq!(Histogram::new(bad), Err(BadBoundaries), "{bad:?}");
        }
        assert!(Histogram::new(&[]).is_ok());
    }
}
