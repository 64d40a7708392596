//! The table of measured figures in `README.md`, made from the newest results of each machine.

use super::{files, is_fresh, text};
use std::collections::BTreeMap;
use std::fmt::Write;

const START: &str = "<!-- figures: made from benches/results -->\n";
const END: &str = "<!-- end of figures -->\n";

/// Rows of a CSV file as maps from column to cell.
fn rows(csv: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = csv.lines().map(cells);
    let header = lines.next().unwrap_or_default();
    lines.map(|row| header.iter().cloned().zip(row).collect()).collect()
}

/// Cells of one line; quoted ones may hold commas and doubled quotes.
fn cells(line: &str) -> Vec<String> {
    let (mut out, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    out.push(cell);
    out
}

/// `benches/results/MACHINE/DATE.csv`: the newest of each machine. `DATE-ops.csv` and the like beside it have other columns.
fn newest() -> BTreeMap<String, (String, String)> {
    let mut out = BTreeMap::new();
    for (path, file) in files(&["csv"]) {
        let parts: Vec<&str> = path.split('/').collect();
        if let ["benches", "results", machine, date] = parts[..]
            && date.trim_end_matches(".csv").bytes().all(|b| b.is_ascii_digit() || b == b'-')
        {
            // Sorted by path: later dates replace earlier ones.
            out.insert(machine.to_owned(), (date.trim_end_matches(".csv").to_owned(), text(&file)));
        }
    }
    out
}

fn table() -> String {
    let mut out = String::new();
    for (machine, (date, csv)) in newest() {
        let _ = write!(
            out,
            "\n{machine}, {date} (`benches/results/{machine}/{date}.csv`): median wall time, with voxtile's time as the \
             unit in brackets, and peak memory; warm file cache.\n\n\
             | job | who | time | peak memory | answer |\n|--|--|--|--|--|\n"
        );
        for r in rows(&csv) {
            let side = if r["side"].is_empty() { String::new() } else { format!(" {}³", r["side"]) };
            let (who, version) = (&r["contender"], r["version"].split(' ').next().unwrap_or_default());
            let _ = writeln!(
                out,
                "| {}{side} | {who} {version} | {} s (×{}) | {} MiB | {} |",
                r["job"],
                r["median_s"],
                r["ratio_to_voxtile"],
                r["peak_mib"],
                if r["agrees"].is_empty() { "reference" } else { &r["agrees"] }
            );
        }
    }
    if out.is_empty() {
        "\nNo results are committed yet; `just peers DIR` measures.\n".to_owned()
    } else {
        out
    }
}

#[test]
fn the_figures_in_the_readme_are_those_measured() {
    let readme = text(&crate::house::root().join("README.md"));
    let start = readme.find(START).expect("README.md marks where the figures begin") + START.len();
    let end = readme.find(END).expect("README.md marks where the figures end");
    is_fresh("README.md", &format!("{}{}\n{}", &readme[..start], table(), &readme[end..]));
}

#[test]
fn a_quoted_cell_may_hold_commas_and_quotes() {
    assert_eq!(cells(r#"a,"b, ""c""",,d"#), ["a", "b, \"c\"", "", "d"]);
}
