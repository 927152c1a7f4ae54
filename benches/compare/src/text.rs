//! Tables and numbers as text.

use std::fmt::Write;

use crate::ratio::Ratio;

/// A table in Markdown whose columns are as wide as their widest cell.
pub(crate) fn write_table(text: &mut String, head: Vec<String>, rows: Vec<Vec<String>>) {
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = all[0].len();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (number, row) in all.iter().enumerate() {
        let padded: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "| {} |", padded.join(" | "));
        if number == 0 {
            let lines: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            let _ = writeln!(text, "| {} |", lines.join(" | "));
        }
    }
}

/// Three digits, or all of a larger number.
pub(crate) fn short(number: f64) -> String {
    match number {
        n if n >= 100.0 => format!("{n:.0}"),
        n if n >= 10.0 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    }
}

/// How much of a unit a second, and how long one took or all of it.
pub(crate) fn speed(unit: &str, per_second: f64, microseconds: f64) -> String {
    match unit {
        "MB" => format!("{} MB/s · {} ms", short(per_second), short(microseconds / 1e3)),
        "entries" => format!("{} k/s · {} ms", short(per_second / 1e3), short(microseconds / 1e3)),
        _ if per_second < 1e3 => format!("{}/s · {} ms", short(per_second), short(microseconds / 1e3)),
        _ => format!("{} k/s · {} µs", short(per_second / 1e3), short(microseconds)),
    }
}

/// The middle of a ratio, with the least and the greatest if there were several.
pub(crate) fn spread(ratio: Ratio) -> String {
    let of = |number: f64| match number {
        // What is near one, or below, is held against bounds of two digits.
        n if n > 0.0 && n < 2.0 => format!("{n:.3}"),
        n => short(n),
    };
    if ratio.min == ratio.max {
        return of(ratio.median);
    }
    format!("{} ({} to {})", of(ratio.median), of(ratio.min), of(ratio.max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut text = String::new();
        write_table(&mut text, vec!["a".into(), "bb".into()], vec![vec!["ccc".into(), "·".into()]]);
        assert_eq!(text, "| a   | bb |\n| --- | -- |\n| ccc | ·  |\n");
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([1234.5, 56.78, 3.456].map(short), ["1234", "56.8", "3.46"]);
    }

    #[test]
    fn a_spread_says_on_which_side_of_a_bound_it_is() {
        let ratio = Ratio { median: 0.949, min: 0.9, max: 12.34 };
        assert_eq!(spread(ratio), "0.949 (0.900 to 12.3)");
        assert_eq!(spread(Ratio { median: 0.0, min: 0.0, max: 0.0 }), "0.00");
    }

    #[test]
    fn bulk_is_told_by_what_it_moves_and_how_long_all_of_it_took() {
        assert_eq!(speed("MB", 512.4, 2e6), "512 MB/s · 2000 ms");
        assert_eq!(speed("entries", 4e5, 2.5e6), "400 k/s · 2500 ms");
        assert_eq!(speed("operations", 187.0, 5218.0), "187/s · 5.22 ms");
        assert_eq!(speed("operations", 22_000.0, 37.0), "22.0 k/s · 37.0 µs");
    }
}
