//! The house's own rules, read from its source: who imports whom, who names which library, how long
//! a file is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The longest a source file may be, in lines.
const LONGEST: usize = 400;

/// Every Rust file under `src`: its path from there, and its text.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    assert!(files.len() > 40, "{} files were found", files.len());
    files
        .into_iter()
        .map(|file| {
            let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&file).unwrap())
        })
        .collect()
}

/// The text without its comments, so that a word in a sentence is no import.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The words of a text that stand as a path's first part or as one alone.
fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect()
}

/// The module that a file belongs to: `store` for `store/read.rs` and for `store.rs`.
fn module(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The modules that a code names by `crate::`, also in braces.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let word = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        match rest.strip_prefix('{') {
            None => {
                found.insert(word(rest));
            }
            Some(list) => {
                let mut depth = 0;
                let outer: String = list
                    .chars()
                    .take_while(|c| {
                        depth += i32::from(*c == '{') - i32::from(*c == '}');
                        depth >= 0
                    })
                    .collect();
                let mut depth = 0;
                let items = outer.split(|c: char| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    c == ',' && depth == 0
                });
                found.extend(items.map(word).filter(|word| !word.is_empty()));
            }
        }
    }
    found
}

/// The table of the crate's documentation: what each module may import; `None` is all.
fn table() -> BTreeMap<String, Option<BTreeSet<String>>> {
    let text = include_str!("../../src/lib.rs");
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    rows.map(|row| {
        let (module, rest) = row.split_once("`]").unwrap();
        let cell = rest.trim_end_matches([' ', '|']).rsplit('|').next().unwrap().trim();
        let allowed = match cell {
            "nothing" => Some(BTreeSet::new()),
            "all" => None,
            list => Some(list.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()),
        };
        (module.to_owned(), allowed)
    })
    .collect()
}

#[test]
fn imports_are_found_in_every_form() {
    let found =
        imports("use crate::a::B; use crate::{c::{D, e}, f, g::*};\nlet x = crate::h::i();");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "c", "f", "g", "h"]);
}

#[test]
fn modules_import_what_the_table_says() {
    let table = table();
    let modules: BTreeSet<String> = sources()
        .iter()
        .map(|(file, _)| module(file).to_owned())
        .filter(|module| module != "lib" && module != "main")
        .collect();
    assert_eq!(table.keys().cloned().collect::<BTreeSet<_>>(), modules, "a row a module");
    for (file, text) in sources() {
        let Some(Some(allowed)) = table.get(module(&file)) else { continue };
        for import in imports(&code(&text)) {
            assert!(
                import == module(&file) || allowed.contains(&import),
                "{file} imports {import}, which the table in lib.rs does not allow"
            );
        }
    }
}

#[test]
fn nobody_goes_round_the_table() {
    for (file, text) in sources() {
        let code = code(&text);
        // A path up from a module's own first level would be `crate::` by another name.
        let level = file.matches('/').count() + usize::from(!file.ends_with("/mod.rs"));
        let up = vec!["super"; level + 1].join("::");
        assert!(!code.contains(&up), "{file} names {up}");
        if file != "main.rs" {
            assert!(!code.contains("customer_accounts::"), "{file} names its own crate");
        }
    }
}

/// The files that name a library.
fn files_that_name(library: &str) -> Vec<String> {
    sources()
        .into_iter()
        .filter(|(_, text)| words(&code(text)).contains(library))
        .map(|(file, _)| file)
        .collect()
}

#[test]
fn only_http_and_serve_name_axum() {
    for file in files_that_name("axum") {
        assert!(module(&file) == "http" || file == "cli/serve.rs", "{file} names axum");
    }
}

#[test]
fn only_the_store_and_migrate_name_sqlx() {
    for file in files_that_name("sqlx") {
        assert!(module(&file) == "store" || file == "cli/migrate.rs", "{file} names sqlx");
    }
}

#[test]
fn the_store_asks_nothing_that_a_sharded_postgres_does_not_have() {
    for (file, text) in sources() {
        let text = code(&text).to_lowercase();
        for words in ["skip locked", "pg_notify", "pg_advisory", "uuidv7()", "create extension"] {
            assert!(!text.contains(words), "{file} has {words}");
        }
    }
}

#[test]
fn no_source_file_is_too_long() {
    for (file, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{file} has {lines} lines");
    }
}

#[test]
fn every_source_file_says_what_lives_there() {
    for (file, text) in sources() {
        assert!(text.starts_with("//! "), "{file} begins without a word about itself");
    }
}
