//! What `info block -v` tells of images.

use tinamou_api as api;

/// The lines for an image and those behind it.
pub(super) fn lines(image: &api::ImageInfo) -> String {
    let info = &image.base;
    let virtual_size = info.virtual_size;
    let size = |bytes: i64| human(u64::try_from(bytes).unwrap_or(0));
    let mut text = format!(
        "image: {}\nfile format: {}\nvirtual size: {} ({virtual_size} bytes)\ndisk size: {}\n",
        info.filename,
        info.format,
        size(virtual_size),
        info.actual_size.map_or("unavailable".to_owned(), size),
    );
    if info.encrypted == Some(true) {
        text += "encrypted: yes\n";
    }
    if let Some(cluster) = info.cluster_size {
        text += &format!("cluster_size: {cluster}\n");
    }
    if info.dirty_flag == Some(true) {
        text += "cleanly shut down: no\n";
    }
    if let Some(backing) = &info.backing_filename {
        text += &format!("backing file: {backing}");
        match &info.full_backing_filename {
            Some(full) if full != backing => text += &format!(" (actual path: {full})\n"),
            _ => text += "\n",
        }
    }
    if let Some(format) = &info.backing_filename_format {
        text += &format!("backing file format: {format}\n");
    }
    text += &specific(info);
    if let Some(backing) = &image.backing_image {
        text += &lines(backing);
    }
    text
}

fn specific(info: &api::BlockNodeInfo) -> String {
    let Some(api::ImageInfoSpecificBranch::Qcow2(qcow2)) = info
        .format_specific
        .as_ref()
        .map(|specific| &specific.branch)
    else {
        return String::new();
    };
    let qcow2 = &qcow2.data;
    let mut text = format!(
        "Format specific information:\n    compat: {}\n    compression type: {}\n",
        qcow2.compat,
        qcow2.compression_type.as_str(),
    );
    if let Some(lazy) = qcow2.lazy_refcounts {
        text += &format!("    lazy refcounts: {lazy}\n");
    }
    text += &format!("    refcount bits: {}\n", qcow2.refcount_bits);
    if let Some(corrupt) = qcow2.corrupt {
        text += &format!("    corrupt: {corrupt}\n");
    }
    if let Some(extended) = qcow2.extended_l2 {
        text += &format!("    extended l2: {extended}\n");
    }
    text
}

/// A count of bytes in the unit in which it has three digits or less before the point, and three
/// that count.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = match value {
        value if value < 1.0 => 3,
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    let number = format!("{value:.decimals$}");
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => &number,
    };
    format!("{number} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn three_digits_count() {
        let rows = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "0.977 KiB"),
            (1024, "1 KiB"),
            (200_704, "196 KiB"),
            (1_500_000, "1.43 MiB"),
            (12_345_678, "11.8 MiB"),
            (1 << 40, "1 TiB"),
            (u64::MAX, "16 EiB"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(human(bytes), expected);
        }
    }
}
