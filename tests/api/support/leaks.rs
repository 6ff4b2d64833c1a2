//! What a database holds, and whether a value that must not be there is there in any form.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Every column of every row of every table, as text, and which transaction wrote the row: no write
/// can leave it as it is.
pub async fn dump(url: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', table_schema, table_name) from information_schema.tables
         where table_type = 'BASE TABLE'
             and table_schema not in ('pg_catalog', 'information_schema')
         order by 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut dump = String::new();
    for table in tables {
        let query = format!("select concat_ws(' ', xmin, ctid, t::text) from {table} t order by 1");
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
        writeln!(dump, "{table}\n{}", rows.join("\n")).unwrap();
    }
    connection.close().await.unwrap();
    dump
}

/// Values to look for, in every form in which a program may have written them down: as they are, in
/// lower and upper case, without what is no letter or digit, in base64 (at any place in a longer
/// text), in hexadecimal, and as a list of byte values.
pub struct Wanted {
    forms: Vec<(String, Vec<u8>)>,
    /// For each two bytes whether a form begins with them.
    begins: Vec<bool>,
}

impl Wanted {
    pub fn new(values: &[&str]) -> Self {
        let mut variants = BTreeSet::new();
        for value in values {
            let bare: String = value.chars().filter(|c| c.is_alphanumeric()).collect();
            for variant in [*value, &bare] {
                variants.extend([
                    variant.to_owned(),
                    variant.to_lowercase(),
                    variant.to_uppercase(),
                ]);
            }
        }
        let mut forms = Vec::new();
        for variant in variants {
            let bytes = variant.as_bytes();
            let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            let list = format!("{bytes:?}");
            let mut written = vec![
                (String::from("as it is"), variant.clone()),
                ("in upper hexadecimal".into(), hex.to_uppercase()),
                ("in hexadecimal".into(), hex),
                ("as a list".into(), list[1..list.len() - 1].to_owned()),
            ];
            for shift in 0..3 {
                // What stands before it moves it within the groups of three, and shares a letter.
                let shifted = [&b"\0\0"[..shift], bytes].concat();
                let whole = shifted.len() / 3 * 4;
                for base64 in [BASE64_STANDARD.encode(&shifted), BASE64_URL_SAFE.encode(&shifted)] {
                    let inner = base64[[0, 2, 3][shift]..whole].to_owned();
                    written.push((format!("in base64 after {shift} bytes"), inner));
                }
            }
            for (form, text) in written {
                forms.push((format!("{variant} {form}"), text.into_bytes()));
            }
        }
        let mut begins = vec![false; 1 << 16];
        for (what, form) in &forms {
            assert!(form.len() >= 4, "{what} is too short to be told from chance");
            begins[usize::from(u16::from_be_bytes([form[0], form[1]]))] = true;
        }
        Self { forms, begins }
    }

    /// What of it is in the bytes.
    pub fn found_in(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (place, pair) in bytes.windows(2).enumerate() {
            if self.begins[usize::from(u16::from_be_bytes([pair[0], pair[1]]))] {
                let here = self.forms.iter().filter(|(_, form)| bytes[place..].starts_with(form));
                found.extend(here.map(|(what, _)| what.as_str()));
            }
        }
        found
    }

    /// Asserts that nothing of it is in the bytes.
    #[track_caller]
    pub fn is_not_in(&self, place: &str, bytes: impl AsRef<[u8]>) {
        let found = self.found_in(bytes.as_ref());
        assert!(found.is_empty(), "{place} holds {found:?}");
    }
}

/// The files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files.extend(self::files(&entry.path()));
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files
}

#[test]
fn a_value_is_found_in_every_form() {
    let wanted = Wanted::new(&["Zanzibar-4711"]);
    let written = |text: &str| !wanted.found_in(text.as_bytes()).is_empty();
    for text in ["xZanzibar-4711", "ZANZIBAR4711", "zanzibar-4711", "5A616e7a", "[90, 97, 110]"] {
        let cut = ["5A616e7a", "[90, 97, 110]"].contains(&text);
        assert_eq!(written(text), !cut, "{text}");
    }
    for before in ["", "a", "ab", "abc", "abcd"] {
        let text = format!("{before}Zanzibar-4711 and more");
        assert!(written(&BASE64_STANDARD.encode(&text)), "after {before}");
        assert!(written(&format!("{:?}", text.as_bytes())), "after {before}");
        let hex = text.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"));
        assert!(written(&hex) && written(&hex.to_lowercase()), "after {before}");
    }
    assert!(!written("Zanzibar 4712"));
}
