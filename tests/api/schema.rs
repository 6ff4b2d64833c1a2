//! The rules of the schema, read from the catalog of a migrated database: they are what lets the
//! tables be distributed by the customer's id and updates stay cheap.

use customer_accounts::store::MIGRATIONS;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::support::cluster;

/// The migrator's own table, which knows no customer.
const LEDGER: &str = "_sqlx_migrations";

/// The rows of a query over a migrated database, as texts.
async fn rows(query: &'static str) -> Vec<Vec<String>> {
    let database = cluster::fresh_database().await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows.iter().map(|row| (0..row.len()).map(|column| row.get(column)).collect()).collect()
}

/// The column of a table that holds the customer's id.
fn id_of(table: &str) -> &'static str {
    if table == "customers" { "id" } else { "customer_id" }
}

/// Every table of ours.
async fn tables() -> Vec<String> {
    let rows = rows(
        "select relname::text from pg_class \
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') order by relname",
    )
    .await;
    let tables: Vec<String> = rows.into_iter().flatten().filter(|name| name != LEDGER).collect();
    assert!(tables.contains(&"customers".to_owned()), "{tables:?}");
    tables
}

/// Every index of ours: table, name, `primary`, `unique` or `plain`, its columns, its definition.
async fn indexes() -> Vec<(String, String, String, Vec<String>, String)> {
    let rows = rows(
        "select t.relname::text, i.relname::text, \
           case when x.indisprimary then 'primary' when x.indisunique then 'unique' \
             else 'plain' end, \
           coalesce((select string_agg(a.attname::text, ',') from pg_attribute a \
             where a.attrelid = t.oid and a.attnum = any (x.indkey::int2[])), ''), \
           pg_get_indexdef(i.oid) \
         from pg_index x join pg_class i on i.oid = x.indexrelid \
           join pg_class t on t.oid = x.indrelid \
         where t.relnamespace = 'public'::regnamespace",
    )
    .await;
    rows.into_iter()
        .map(|row| <[String; 5]>::try_from(row).unwrap())
        .filter(|[table, ..]| table != LEDGER)
        .map(|[table, name, kind, columns, definition]| {
            let columns = columns.split(',').map(ToOwned::to_owned).collect();
            (table, name, kind, columns, definition)
        })
        .collect()
}

#[tokio::test]
async fn every_table_has_the_customers_id_in_its_primary_key() {
    let indexes = indexes().await;
    for table in tables().await {
        let key = indexes.iter().find(|(of, _, kind, ..)| *of == table && kind == "primary");
        let (.., columns, _) = key.unwrap_or_else(|| panic!("{table} has no primary key"));
        assert!(columns.iter().any(|column| column == id_of(&table)), "{table}: {columns:?}");
    }
}

#[tokio::test]
async fn every_unique_index_has_the_customers_id() {
    for (table, name, kind, columns, _) in indexes().await {
        if kind == "unique" {
            assert!(columns.iter().any(|column| column == id_of(&table)), "{name}: {columns:?}");
        }
    }
}

#[tokio::test]
async fn what_changes_with_every_write_is_in_no_index_of_the_customers() {
    let indexes = indexes().await;
    assert!(indexes.len() > 3);
    for (_, name, _, columns, definition) in indexes {
        for column in ["version", "updated_at"] {
            assert!(!columns.iter().any(|indexed| indexed == column), "{name} indexes {column}");
            // In an expression or a condition, too.
            let words = definition.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            assert!(!words.into_iter().any(|word| word == column), "{name}: {definition}");
        }
    }
}

#[tokio::test]
async fn foreign_keys_stand_on_the_customers_id_alone() {
    let keys = rows(
        "select conrelid::regclass::text, confrelid::regclass::text, \
           (select string_agg(attname::text, ',') from pg_attribute \
             where attrelid = conrelid and attnum = any (conkey)), \
           (select string_agg(attname::text, ',') from pg_attribute \
             where attrelid = confrelid and attnum = any (confkey)) \
         from pg_constraint where contype = 'f'",
    )
    .await;
    assert!(!keys.is_empty());
    for key in keys {
        assert_eq!(key[1..], ["customers", "customer_id", "id"], "{}", key[0]);
    }
}

#[tokio::test]
async fn nothing_runs_inside_the_database() {
    let triggers = rows(
        "select tgname::text from pg_trigger where not tgisinternal union all \
             select rulename::text from pg_rewrite where ev_class in \
             (select oid from pg_class where relnamespace = 'public'::regnamespace) union all \
             select proname::text from pg_proc where pronamespace = 'public'::regnamespace \
             union all select extname::text from pg_extension where extname <> 'plpgsql'",
    )
    .await;
    assert_eq!(triggers, Vec::<Vec<String>>::new());
}

#[tokio::test]
async fn customers_leave_room_for_updates_in_their_pages() {
    let options = rows(
        "select array_to_string(reloptions, ',') from pg_class \
             where oid = 'customers'::regclass",
    )
    .await;
    assert_eq!(options, [["fillfactor=85"]]);
}

/// How many statements an SQL text has: what stands between semicolons outside of comments, quotes
/// and dollar quotes.
fn statements(sql: &str) -> usize {
    let mut count = 0;
    let mut begun = false;
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let end_of = |opening: usize, closing: &str| {
            rest[opening..].find(closing).map_or(rest.len(), |at| opening + at + closing.len())
        };
        let dollar = rest.strip_prefix('$').and_then(|tag| {
            let tag = &tag[..tag.find('$')?];
            tag.chars().all(|c| c.is_alphanumeric() || c == '_').then(|| format!("${tag}$"))
        });
        let (taken, is_text) = match (first, dollar) {
            _ if rest.starts_with("--") => (end_of(2, "\n"), false),
            _ if rest.starts_with("/*") => (end_of(2, "*/"), false),
            (_, Some(tag)) => (end_of(tag.len(), &tag), true),
            ('\'', _) => (end_of(1, "'"), true),
            ('"', _) => (end_of(1, "\""), true),
            (';', _) => {
                count += usize::from(begun);
                begun = false;
                (1, false)
            }
            (other, _) => (other.len_utf8(), !other.is_whitespace()),
        };
        begun |= is_text;
        rest = &rest[taken..];
    }
    count + usize::from(begun)
}

#[test]
fn statements_are_counted_as_postgres_does() {
    for (count, sql) in [
        (0, " -- nothing; at all\n/* ; */ ;"),
        (1, "create index a on b (c)"),
        (1, "create index a on b (c);\n-- done;\n"),
        (1, "alter table a add b text default ';''' check (b <> $tag$;$tag$);"),
        (1, "create table \"a;b\" (c int)"),
        (2, "create index a on b (c); create index d on e (f)"),
    ] {
        assert_eq!(statements(sql), count, "{sql}");
    }
}

#[test]
fn every_migration_after_the_first_is_one_statement() {
    let migrations: Vec<_> = MIGRATIONS.iter().collect();
    assert!(statements(migrations[0].sql.as_str()) > 1, "the first makes the tables");
    for migration in &migrations[1..] {
        assert_eq!(statements(migration.sql.as_str()), 1, "{}", migration.description);
    }
    assert!(migrations.is_sorted_by_key(|migration| migration.version));
}

#[test]
fn every_migration_is_named_by_its_time_and_by_what_it_does() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stem = name.strip_suffix(".sql").unwrap_or_else(|| panic!("{name} is no .sql"));
        let (time, deed) = stem.split_once('_').unwrap();
        assert!(time.len() == 14 && time.bytes().all(|digit| digit.is_ascii_digit()), "{name}");
        assert!(deed.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_'), "{name}");
    }
}
