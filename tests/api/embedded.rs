//! The embedded Postgres, as the service starts it and as the tests do.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use customer_accounts::embedded_postgres::{Durability, EmbeddedPostgres, Error, Options};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::cluster::{
    PrivateCluster, bare_database, durable, execute, folder, fresh_database, kill, maintenance_url,
    postmaster, sockets,
};
use crate::support::holder::{self, Holder, eventually};

/// The account every Unix has; its number is the same on Linux distributions.
const NOBODY: u32 = 65_534;

async fn number(url: &str, query: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let number = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    number
}

fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own_and_it_goes_with_the_test() {
    let one = fresh_database().await;
    let other = fresh_database().await;
    execute(one.url(), "create table only_here (id int)".into()).await;
    let count = "select count(*) from pg_class where relname = 'only_here'";
    assert_eq!(number(one.url(), count).await, 1);
    assert_eq!(number(other.url(), count).await, 0);
    assert_eq!(number(bare_database().await.url(), count).await, 0);

    let count = format!("select count(*) from pg_database where datname = '{}'", one.name());
    assert_eq!(number(maintenance_url(), &count).await, 1);
    drop(one);
    eventually("the database is gone", async || number(maintenance_url(), &count).await == 0).await;
}

#[tokio::test]
async fn data_survives_a_stop_and_a_start_under_the_same_url() {
    let mut cluster = PrivateCluster::start().await;
    let url = cluster.url().to_owned();
    execute(&url, "create table kept as select 42::int8 as answer".into()).await;
    assert_eq!(fs::metadata(sockets(cluster.data_dir())).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(cluster.data_dir().join("postgres")).unwrap().mode() & 0o777, 0o700);

    cluster.stop().await;
    assert!(!sockets(cluster.data_dir()).exists());
    assert!(PgConnection::connect(&url).await.is_err());

    // What a start that was killed leaves behind.
    fs::create_dir(cluster.data_dir().join("postgres.new-1")).unwrap();
    // The number of a process that is no server, as after a restart of a container.
    let stale = cluster.data_dir().join("postgres/postmaster.pid");
    fs::write(&stale, format!("{}\n/\n1\n5432\n/tmp\n\n\nready\n", std::process::id())).unwrap();
    cluster.start_again().await.unwrap();
    assert!(!cluster.data_dir().join("postgres.new-1").exists());
    assert_eq!(cluster.url(), url);
    assert_eq!(number(&url, "select answer from kept").await, 42);
}

#[tokio::test]
async fn a_server_that_crashes_is_noticed_and_starts_again() {
    let mut cluster = PrivateCluster::start().await;
    execute(cluster.url(), "create table kept as select 42::int8 as answer".into()).await;
    let ended = cluster.crash().await;
    assert!(matches!(ended, Error::Ended { .. }), "{ended}");
    cluster.start_again().await.unwrap();
    assert_eq!(number(cluster.url(), "select answer from kept").await, 42);
}

#[tokio::test]
async fn commits_are_durable_and_what_clients_send_is_not_logged() {
    let cluster = PrivateCluster::start().await;
    let mut connection = PgConnection::connect(cluster.url()).await.unwrap();
    for (setting, expected) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("timezone", "UTC"),
        ("listen_addresses", ""),
    ] {
        let actual: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(actual, expected, "{setting}");
    }

    sqlx::raw_sql("create table customer (name text primary key)")
        .execute(&mut connection)
        .await
        .unwrap();
    for refused in [
        "select 'Ann-Secret'::uuid",
        "insert into customer values ('Ann-Secret'), ('Ann-Secret')",
        "do $$ begin raise warning 'Ann-Secret'; end $$; select 1/0 as \"Ann-Secret\"",
    ] {
        sqlx::raw_sql(refused).execute(&mut connection).await.unwrap_err();
    }
    let bound = sqlx::query_scalar::<_, i32>("select $1::text::int").bind("Ann-Secret");
    bound.fetch_one(&mut connection).await.unwrap_err();
    connection.close().await.unwrap();

    let log = fs::read_to_string(cluster.data_dir().join("postgres.log")).unwrap();
    assert!(log.contains("ready to accept connections"), "{log}");
    assert!(!log.contains("Ann-Secret"), "{log}");
}

#[tokio::test]
async fn a_second_instance_is_refused_and_the_first_runs_on() {
    let cluster = PrivateCluster::start().await;
    let refused = EmbeddedPostgres::start(durable(cluster.data_dir())).await.unwrap_err();
    let own = std::process::id();
    assert!(matches!(refused, Error::AlreadyRunning { pid: Some(pid), .. } if pid == own));
    assert!(refused.to_string().contains(&format!("(process {own})")), "{refused}");
    assert_eq!(number(cluster.url(), "select 1::int8").await, 1);
}

#[tokio::test]
async fn data_of_another_major_version_is_refused() {
    let folder = folder();
    let cluster = folder.path().join("postgres");
    fs::create_dir(&cluster).unwrap();
    fs::write(cluster.join("PG_VERSION"), "14\n").unwrap();
    if is_root() {
        std::os::unix::fs::chown(&cluster, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let refused = EmbeddedPostgres::start(durable(folder.path())).await.unwrap_err();
    assert!(matches!(refused, Error::WrongMajor { .. }), "{refused}");
    let words = refused.to_string();
    for expected in ["PostgreSQL 14", "/bin: PostgreSQL ", "pg_upgrade", "DATA_DIR"] {
        assert!(words.contains(expected), "{expected} is not in: {words}");
    }
    assert_eq!(fs::read_to_string(cluster.join("PG_VERSION")).unwrap(), "14\n");
}

#[tokio::test]
async fn a_named_folder_without_programs_is_refused() {
    let folder = folder();
    let options = Options { bin_dir: Some(folder.path().to_owned()), ..durable(folder.path()) };
    let refused = EmbeddedPostgres::start(options).await.unwrap_err();
    assert!(matches!(refused, Error::BinDirUnusable { .. }), "{refused}");
    assert!(refused.to_string().contains(&folder.path().display().to_string()), "{refused}");
}

#[tokio::test]
async fn a_server_that_does_not_start_quotes_its_log() {
    let mut cluster = PrivateCluster::start().await;
    cluster.stop().await;
    let settings = cluster.data_dir().join("postgres/postgresql.auto.conf");
    fs::write(&settings, "shared_preload_libraries = 'no_such_library'\n").unwrap();
    let refused = cluster.start_again().await.unwrap_err();
    assert!(matches!(refused, Error::DidNotStart { .. }), "{refused}");
    assert!(refused.to_string().contains("no_such_library"), "{refused}");
    assert!(!sockets(cluster.data_dir()).exists());

    fs::write(&settings, "").unwrap();
    cluster.start_again().await.unwrap();
}

#[tokio::test]
async fn a_throwaway_server_takes_an_empty_folder_alone_and_removes_it() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let throwaway = || Options { durability: Durability::Throwaway, ..durable(&data_dir) };
    fs::create_dir(&data_dir).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(data_dir.join("somebody's"), "").unwrap();
    let refused = EmbeddedPostgres::start(throwaway()).await.unwrap_err();
    assert!(matches!(refused, Error::NotEmpty(_)), "{refused}");
    fs::remove_file(data_dir.join("somebody's")).unwrap();

    let server = EmbeddedPostgres::start(throwaway()).await.unwrap();
    assert_eq!(number(server.url(), "select 1::int8").await, 1);
    let sockets = sockets(&data_dir);
    assert!(sockets.exists());
    server.stop().await;
    assert!(!sockets.exists());
    assert!(!data_dir.exists());

    let failing = Options { bin_dir: Some(folder.path().to_owned()), ..throwaway() };
    EmbeddedPostgres::start(failing).await.unwrap_err();
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn a_server_ends_with_its_service_though_that_is_killed() {
    let folder = folder();
    let holder = Holder::start(folder.path(), Durability::Durable).await;
    let url = holder.url.clone();
    execute(&url, "create table kept as select 42::int8 as answer".into()).await;
    let refused = EmbeddedPostgres::start(durable(folder.path())).await.unwrap_err();
    assert!(matches!(refused, Error::AlreadyRunning { .. }), "{refused}");

    holder.kill();
    // At once, while the server may still be stopping.
    let server = EmbeddedPostgres::start(durable(folder.path())).await.unwrap();
    assert_eq!(server.url(), url);
    assert_eq!(number(&url, "select answer from kept").await, 42);
    server.stop().await;

    let sockets = sockets(folder.path());
    let holder = Holder::start(folder.path(), Durability::Durable).await;
    holder.kill();
    eventually("the socket's folder is removed", async || !sockets.exists()).await;
    assert!(!folder.path().join("postgres/postmaster.pid").exists());
}

#[tokio::test]
async fn a_first_start_that_was_killed_half_way_is_made_good_by_the_next() {
    let folder = folder();
    let half_made = || {
        fs::read_dir(folder.path())
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("postgres.new-"))
    };
    let holder = Holder::spawn(folder.path(), Durability::Durable);
    eventually("the cluster is being made", async || half_made()).await;
    holder.kill();
    assert!(!folder.path().join("postgres").exists());

    let server = EmbeddedPostgres::start(durable(folder.path())).await.unwrap();
    assert!(!half_made());
    assert_eq!(number(server.url(), "select 1::int8").await, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_throwaway_server_leaves_nothing_though_its_service_is_killed() {
    let outer = folder();
    fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let data_dir = outer.path().join("data");
    let holder = Holder::start(&data_dir, Durability::Throwaway).await;
    let sockets = sockets(&data_dir);
    holder.kill();
    eventually("all of it is removed", async || !sockets.exists() && !data_dir.exists()).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_whose_supervisor_was_killed_too_is_stopped_by_the_next_start() {
    let folder = folder();
    let holder = Holder::start(folder.path(), Durability::Durable).await;
    let orphan = postmaster(folder.path());
    let status = fs::read_to_string(format!("/proc/{orphan}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    let group: i32 = parent.trim().parse().unwrap();
    // All of the supervisor's processes, but not the server.
    for entry in fs::read_dir("/proc").unwrap() {
        let pid = entry.unwrap().file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        let Some(pid) = pid.filter(|&pid| pid != orphan) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // After the name in parentheses: state, parent, group.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        if fields[2].parse() == Ok(group) {
            kill(pid);
        }
    }
    holder.kill();
    assert_eq!(postmaster(folder.path()), orphan);

    let server = EmbeddedPostgres::start(durable(folder.path())).await.unwrap();
    assert_ne!(postmaster(folder.path()), orphan);
    assert_eq!(number(server.url(), "select 1::int8").await, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_closed_folder_above_the_data_is_named_to_root() {
    if !is_root() {
        return; // An ordinary user's server goes where the user does.
    }
    let closed = folder(); // with mode 0700, and root's
    let refused = EmbeddedPostgres::start(durable(&closed.path().join("data"))).await.unwrap_err();
    assert!(matches!(&refused, Error::OutOfReach { folder, .. } if folder == closed.path()));
    let words = refused.to_string();
    assert!(words.contains(&format!("chmod o+x {}", closed.path().display())), "{words}");
}

#[tokio::test]
async fn an_ordinary_user_may_do_all_of_it_and_a_run_of_tests_leaves_nothing_behind() {
    let temporary = folder();
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut run = tokio::process::Command::new(std::env::current_exe().unwrap());
    run.args([
        "--exact",
        "embedded::data_survives_a_stop_and_a_start_under_the_same_url",
        "embedded::a_server_ends_with_its_service_though_that_is_killed",
        "embedded::each_test_has_a_database_of_its_own_and_it_goes_with_the_test",
    ]);
    run.env("TMPDIR", temporary.path()).current_dir("/");
    if is_root() {
        run.uid(NOBODY).gid(NOBODY);
    }
    match run.output().await {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            eprintln!("not run: an ordinary user may not enter the folder of the test's binary");
        }
        ran => {
            let output = ran.unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}");
            assert!(said.contains("3 passed"), "{said}");
        }
    }
    // The shared cluster is removed after the end of the process.
    let entries = || fs::read_dir(temporary.path()).unwrap().count();
    eventually("nothing is left", async || entries() == 0).await;
}

/// No test: what the process of a [`Holder`] runs.
#[tokio::test]
#[ignore = "other tests start it in a process of its own"]
async fn holds_a_server() {
    let Some(data_dir) = std::env::var_os(holder::DATA_DIR).map(PathBuf::from) else { return };
    let durability = std::env::var_os(holder::DURABILITY).unwrap();
    let durability =
        if durability == "Throwaway" { Durability::Throwaway } else { Durability::Durable };
    let server =
        EmbeddedPostgres::start(Options { durability, ..durable(&data_dir) }).await.unwrap();
    let answer = holder::url_file(&data_dir);
    let written = answer.with_extension("written");
    fs::write(&written, server.url()).unwrap();
    fs::rename(&written, &answer).unwrap();
    // Until it is killed, or the test that started it ends some other way.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
        .await
        .unwrap()
        .unwrap();
    server.stop().await;
}
