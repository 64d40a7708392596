//! What documents point to must exist: files, and the tests that they name.

use super::{files, is_fresh, text};
use crate::house::root;

/// Every Markdown file.
fn pages() -> impl Iterator<Item = (String, String)> {
    files(&["md"]).into_iter().map(|(path, file)| (path, text(&file)))
}

/// Parts of a text between two markers.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

#[test]
fn links_lead_somewhere() {
    for (page, content) in pages() {
        let folder = root().join(&page).parent().unwrap().to_path_buf();
        for target in between(&content, "](", ")").filter(|t| !t.contains("://") && !t.starts_with('#')) {
            let file = target.split('#').next().unwrap_or_default();
            assert!(folder.join(file).exists(), "{page} links to `{target}`, which does not exist");
        }
    }
}

#[test]
fn the_list_of_decisions_is_fresh() {
    const LIST: &str = "docs/decisions/README.md";
    let old = text(&root().join(LIST));
    let head = old.split("* [").next().unwrap_or_default();
    let mut lines: Vec<String> = pages()
        .filter(|(page, _)| page.starts_with("docs/decisions/0"))
        .filter_map(|(page, content)| {
            let (number, title) = content.lines().next()?.strip_prefix("# ")?.split_once(": ")?;
            Some(format!("* [{number}]({}) {title}\n", page.rsplit('/').next()?))
        })
        .collect();
    lines.sort();
    is_fresh(LIST, &format!("{head}{}", lines.concat()));
}

#[test]
fn paths_in_documents_exist() {
    const ROOTS: [&str; 6] = ["crates/", "kernels/", "tests/", "benches/", "docs/", ".ci/"];
    for (page, content) in pages() {
        for quoted in between(&content, "`", "`").filter(|q| ROOTS.iter().any(|r| q.starts_with(r))) {
            let path = quoted.split("::").next().unwrap_or_default();
            // The guide to adding an operation makes one that does not exist.
            let made = page == "docs/adding-an-op.md" && path.contains("/cross.");
            if made || path.contains(['*', '<', ' ', '{']) || path.chars().any(char::is_uppercase) {
                continue;
            }
            assert!(root().join(path).exists(), "{page} speaks of `{quoted}`, which does not exist");
        }
    }
}

/// `tests/tiling.rs::name` stands for a test of that name in that file, which may be the name given to a macro.
#[test]
fn tests_named_in_documents_exist() {
    let mut named = 0;
    for (page, content) in pages() {
        for quoted in between(&content, "`", "`").filter(|q| q.contains(".rs::")) {
            let (path, test) = quoted.split_once("::").unwrap();
            let source = text(&root().join(path));
            let there = [format!("fn {test}("), format!("{test}: &SPEC")];
            assert!(there.iter().any(|t| source.contains(t)), "{page}: there is no test `{quoted}`");
            named += 1;
        }
    }
    assert!(named >= 20, "documents name {named} tests");
}
