//! Tables for people: columns as wide as what stands in them.

use std::iter;

/// The titles and the rows, after an empty line.
pub(super) fn table<const N: usize>(
    titles: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let rows: Vec<_> = iter::once(titles.map(str::to_owned)).chain(rows).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::from("\n");
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let rows = [["1".to_owned(), "a longer one".to_owned()], ["12,345".into(), "b".into()]];
        let text = table(["n", "what"], rows.into_iter());
        assert_eq!(text, "\nn       what\n1       a longer one\n12,345  b\n");
    }
}
