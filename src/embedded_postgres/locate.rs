//! Finding the programs of a PostgreSQL server on this machine.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use super::account::{Account, command};
use super::error::Error;

/// The oldest major version whose SQL the service speaks.
pub(super) const OLDEST_MAJOR: u32 = 15;

/// How long a program may take to say its version: it is a matter of milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where packages put the programs: a parent, what the name of a version's folder starts with, and
/// the programs' folder inside it.
const WELL_KNOWN: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),         // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                  // PGDG's RPMs
    ("/opt/homebrew/opt", "postgresql", "bin"), // Homebrew, ARM
    ("/usr/local/opt", "postgresql", "bin"),    // Homebrew, Intel
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"), // Postgres.app
];

/// A server that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installation {
    /// Holds `initdb` and `postgres`.
    pub bin_dir: PathBuf,
    /// The major version.
    pub major: u32,
}

impl Installation {
    fn describe(&self) -> String {
        format!("{}: PostgreSQL {}", self.bin_dir.display(), self.major)
    }
}

/// The cluster that a server is wanted for: its folder and the text of its `PG_VERSION`.
pub(super) struct Wanted<'a> {
    pub folder: &'a Path,
    pub major: &'a str,
}

/// The places that are searched where no folder is given; tests give their own.
pub(super) struct Places {
    path: Option<OsString>,
    /// Each pattern with the folders that match it.
    well_known: Vec<(String, Vec<PathBuf>)>,
}

impl Places {
    /// Those of this machine.
    pub fn usual() -> Self {
        Self {
            path: std::env::var_os("PATH"),
            well_known: WELL_KNOWN
                .iter()
                .map(|&(parent, prefix, inner)| {
                    let found = newest_first(Path::new(parent), prefix, inner);
                    (format!("{parent}/{prefix}*/{inner}"), found)
                })
                .collect(),
        }
    }
}

/// The server in `bin_dir`, or else the first one in the usual places; where a cluster exists, the
/// first one of its version. The account is who will run it.
pub(super) async fn locate(
    bin_dir: Option<&Path>,
    places: impl FnOnce() -> Places,
    wanted: Option<Wanted<'_>>,
    account: Option<&Account>,
) -> Result<Installation, Error> {
    let fits = |found: &Installation| {
        wanted.as_ref().is_none_or(|wanted| wanted.major == found.major.to_string())
    };
    let mut usable = Vec::new();
    if let Some(bin_dir) = bin_dir {
        let found = examine(bin_dir, account)
            .await
            .map_err(|reason| Error::BinDirUnusable { bin_dir: bin_dir.to_owned(), reason })?;
        if fits(&found) {
            return Ok(found);
        }
        usable.push(found.describe());
    } else {
        let mut searched = Vec::new();
        let mut seen = Vec::new();
        for place in candidates(places(), account, &mut searched).await {
            // The same folder is often reached in several ways.
            if seen.contains(&place) {
                continue;
            }
            match examine(&place, account).await {
                Ok(found) if fits(&found) => return Ok(found),
                Ok(found) => usable.push(found.describe()),
                Err(reason) => searched.push(format!("{}: {reason}", place.display())),
            }
            seen.push(place);
        }
        if usable.is_empty() {
            return Err(Error::NotFound { searched });
        }
    }
    match wanted {
        Some(Wanted { folder, major }) => Err(Error::WrongMajor {
            folder: folder.to_owned(),
            data: major.to_owned(),
            found: usable,
        }),
        // Every usable server fits where no cluster asks for a version.
        None => Err(Error::NotFound { searched: usable }),
    }
}

/// The folders that may hold a server, in order; the places that lead to none go into `searched`.
async fn candidates(
    places: Places,
    account: Option<&Account>,
    searched: &mut Vec<String>,
) -> Vec<PathBuf> {
    let mut candidates = Vec::new();
    let path: Vec<PathBuf> = places
        .path
        .iter()
        .flat_map(std::env::split_paths)
        .filter(|folder| folder.is_absolute())
        .collect();
    let on_path = |program: &str| path.iter().map(|dir| dir.join(program)).find(|p| p.is_file());

    // Followed to its end: packages often link `postgres` alone from where `initdb` is not.
    match on_path("postgres").and_then(|program| fs::canonicalize(program).ok()) {
        Some(program) => candidates.extend(program.parent().map(Path::to_owned)),
        None => searched.push("PATH: no program `postgres`".to_owned()),
    }
    match on_path("pg_config") {
        Some(program) => match output(&program, "--bindir", account).await {
            Ok(bin_dir) => candidates.push(PathBuf::from(bin_dir.trim())),
            Err(reason) => searched.push(format!("{}: {reason}", program.display())),
        },
        None => searched.push("PATH: no program `pg_config`".to_owned()),
    }
    for (pattern, folders) in places.well_known {
        if folders.is_empty() {
            searched.push(format!("{pattern}: no such folder"));
        }
        candidates.extend(folders);
    }
    candidates
}

/// The folders `parent/prefix…/inner` that exist, by the number in their name, highest first.
fn newest_first(parent: &Path, prefix: &str, inner: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let rest = name.strip_prefix(prefix)?;
            let digits: String = rest
                .chars()
                .skip_while(|c| !c.is_ascii_digit())
                .take_while(char::is_ascii_digit)
                .collect();
            let folder = entry.path().join(inner);
            folder.is_dir().then(|| (digits.parse().unwrap_or(0), folder))
        })
        .collect();
    found.sort_unstable_by(|left, right| right.cmp(left));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// The server in a folder, or why it cannot be used.
async fn examine(bin_dir: &Path, account: Option<&Account>) -> Result<Installation, String> {
    for program in ["postgres", "initdb"] {
        if !bin_dir.join(program).is_file() {
            return Err(format!("no program `{program}`"));
        }
    }
    let answer = output(&bin_dir.join("postgres"), "--version", account).await?;
    let major = major(&answer).ok_or("`postgres --version` names no version")?;
    if major < OLDEST_MAJOR {
        return Err(format!("PostgreSQL {major}, too old: needs {OLDEST_MAJOR} or newer"));
    }
    Ok(Installation { bin_dir: bin_dir.to_owned(), major })
}

/// The major version in an answer such as `postgres (PostgreSQL) 15.14 (Debian 15.14-0)`.
fn major(answer: &str) -> Option<u32> {
    let version = answer.split_once("(PostgreSQL) ")?.1;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

/// What a program says when it is given one argument, or why it says nothing. It runs as the
/// server's account, which shows whether that account may run it at all.
async fn output(
    program: &Path,
    argument: &str,
    account: Option<&Account>,
) -> Result<String, String> {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut asked = command(program, account);
    let asked = asked.arg(argument).kill_on_drop(true).output();
    let Output { status, stdout, .. } = tokio::time::timeout(ANSWER_WITHIN, asked)
        .await
        .map_err(|_| format!("`{name} {argument}` does not end"))?
        .map_err(|error| match account {
            Some(account) => format!("`{name}` cannot be run as `{}`: {error}", account.name),
            None => format!("`{name}` cannot be run: {error}"),
        })?;
    if !status.success() {
        return Err(format!("`{name} {argument}` ended with {status}"));
    }
    String::from_utf8(stdout).map_err(|_| format!("`{name} {argument}` answers no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a `postgres` that claims a version, and an `initdb`.
    fn fake(parent: &Path, name: &str, version: &str) -> PathBuf {
        let folder = parent.join(name);
        fs::create_dir(&folder).unwrap();
        // A shell writes them: a program that this process has open for writing, be it through a
        // child that another test is just starting, could not be run ("text file busy").
        let made = std::process::Command::new("/bin/sh")
            .args(["-ec", FAKE, "sh", version])
            .current_dir(&folder)
            .status();
        assert!(made.unwrap().success());
        folder
    }

    const FAKE: &str = r#"
        for program in postgres initdb; do
            printf '#!/bin/sh\necho "postgres (PostgreSQL) %s"\n' "$1" >$program
            chmod 755 $program
        done"#;

    fn places(well_known: &[&PathBuf]) -> Places {
        let folders = well_known.iter().map(|&path| path.clone()).collect();
        Places { path: None, well_known: vec![("a test's".to_owned(), folders)] }
    }

    #[test]
    fn versions_are_read_from_what_postgres_says() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(major("postgres (PostgreSQL) 9.6.24\n"), Some(9));
        assert_eq!(major("postgres (PostgreSQL) \n"), None);
        assert_eq!(major("not a server\n"), None);
    }

    #[test]
    fn the_newest_folder_comes_first_by_number() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["pgsql-9.6", "pgsql-17", "pgsql-100", "other-200"] {
            fs::create_dir_all(parent.path().join(name).join("bin")).unwrap();
        }
        fs::create_dir(parent.path().join("pgsql-300")).unwrap();
        let found = newest_first(parent.path(), "pgsql-", "bin");
        let expected: Vec<_> = ["pgsql-100", "pgsql-17", "pgsql-9.6"]
            .map(|name| parent.path().join(name).join("bin"))
            .into();
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn an_old_server_is_passed_over_and_the_first_new_one_taken() {
        let parent = tempfile::tempdir().unwrap();
        let old = fake(parent.path(), "old", "14.9");
        let oldest_usable = fake(parent.path(), "usable", "15.0");
        let newest = fake(parent.path(), "newest", "17.2");

        let found = locate(None, || places(&[&old, &oldest_usable, &newest]), None, None).await;
        assert_eq!(found.unwrap(), Installation { bin_dir: oldest_usable.clone(), major: 15 });

        let error = locate(None, || places(&[&old]), None, None).await.unwrap_err().to_string();
        assert!(error.contains("old: PostgreSQL 14, too old: needs 15 or newer"), "{error}");
    }

    #[tokio::test]
    async fn a_cluster_gets_the_server_of_its_version_or_none() {
        let parent = tempfile::tempdir().unwrap();
        let newer = fake(parent.path(), "newer", "17.2");
        let same = fake(parent.path(), "same", "16.1");
        let folder = Path::new("cluster");
        let of = |major| Some(Wanted { folder, major });

        let found = locate(None, || places(&[&newer, &same]), of("16"), None).await.unwrap();
        assert_eq!(found.bin_dir, same);
        for bin_dir in [None, Some(newer.as_path())] {
            let refused = locate(bin_dir, || places(&[&newer]), of("16"), None).await;
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("PostgreSQL 16"), "{error}");
            assert!(error.contains("newer: PostgreSQL 17"), "{error}");
        }
    }

    #[tokio::test]
    async fn where_nothing_is_found_every_place_and_the_ways_out_are_named() {
        let empty = tempfile::tempdir().unwrap();
        let patterns = Places::usual().well_known.into_iter();
        let searched = Places {
            path: Some(empty.path().into()),
            well_known: patterns.map(|(pattern, _)| (pattern, Vec::new())).collect(),
        };
        let error = locate(None, || searched, None, None).await.unwrap_err().to_string();
        for expected in [
            "PATH: no program `postgres`",
            "PATH: no program `pg_config`",
            "/usr/lib/postgresql/*/bin",
            "/usr/pgsql-*/bin",
            "/opt/homebrew/opt/postgresql*/bin",
            "/usr/local/opt/postgresql*/bin",
            "Postgres.app",
            "install PostgreSQL",
            "compose file",
            "DATABASE_URL",
            "POSTGRES_BIN_DIR",
        ] {
            assert!(error.contains(expected), "{expected} is not in: {error}");
        }
    }

    #[tokio::test]
    async fn a_named_folder_without_a_server_is_refused_without_looking_further() {
        let parent = tempfile::tempdir().unwrap();
        let usable = fake(parent.path(), "usable", "17.2");
        let old = fake(parent.path(), "old", "14.9");
        let empty = parent.path().join("empty");
        fs::create_dir(&empty).unwrap();

        for (bin_dir, reason) in [(&empty, "no program `postgres`"), (&old, "too old")] {
            let refused = locate(Some(bin_dir), || places(&[&usable]), None, None).await;
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::BinDirUnusable { .. }), "{error}");
            assert!(error.to_string().contains(reason), "{error}");
        }
        let found = locate(Some(&usable), || places(&[]), None, None).await.unwrap();
        assert_eq!(found.bin_dir, usable);
    }
}
