//! Rows of figures, and the table that sets two programs side by side.

/// What a figure is measured in.
#[derive(Clone, Copy)]
pub enum Unit {
    /// µs
    Microseconds,
    /// ms
    Milliseconds,
    /// s
    Seconds,
    /// 1/s
    PerSecond,
    /// MB/s
    MegabytesPerSecond,
    /// MB
    Megabytes,
    /// kB
    Kilobytes,
    /// million instructions a second
    Mips,
}

impl Unit {
    fn symbol(self) -> &'static str {
        match self {
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::PerSecond => "/s",
            Self::MegabytesPerSecond => "MB/s",
            Self::Megabytes => "MB",
            Self::Kilobytes => "kB",
            Self::Mips => "MIPS",
        }
    }
}

/// One figure of one program.
pub struct Row {
    name: &'static str,
    value: f64,
    unit: Unit,
    less_is_better: bool,
}

impl Row {
    /// A figure that should be small.
    pub fn less(name: &'static str, value: f64, unit: Unit) -> Self {
        Self {
            name,
            value,
            unit,
            less_is_better: true,
        }
    }

    /// A figure that should be large.
    pub fn more(name: &'static str, value: f64, unit: Unit) -> Self {
        Self {
            name,
            value,
            unit,
            less_is_better: false,
        }
    }
}

/// Prints the rows of two programs and how many times better the first is.
pub fn print(heads: [&str; 2], ours: &[Row], theirs: &[Row]) {
    let [our, their] = heads;
    println!("| what | {our} | {their} | times better |\n|---|---:|---:|---:|");
    for row in ours {
        let Some(other) = theirs.iter().find(|other| other.name == row.name) else {
            println!("| {} | {} | | |", row.name, figure(row));
            continue;
        };
        let ratio = if row.less_is_better {
            other.value / row.value
        } else {
            row.value / other.value
        };
        println!(
            "| {} | {} | {} | {ratio:.1} |",
            row.name,
            figure(row),
            figure(other)
        );
    }
}

fn figure(row: &Row) -> String {
    let digits = match row.value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{:.digits$} {}", row.value, row.unit.symbol())
}

/// The middle of the values.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    percentile(values, 50)
}

/// A percentile of sorted values; zero of none.
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(0.0)
}
