//! A database of 200,000 customers, to see what lists and searches read of it.

use chrono::{DateTime, TimeDelta, Utc};

use super::cluster::{Database, execute, fresh_database};

/// How many customers there are.
pub const CUSTOMERS: i32 = 200_000;

/// When the n-th of them was created.
pub fn created_at(n: i32) -> DateTime<Utc> {
    "2026-04-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(30) * n
}

/// A database full of customers, made by SQL: plausible in what is searched, filtered and sorted;
/// the documents are cheap. Each was created 30 seconds after the one before.
///
/// | what | which |
/// | --- | --- |
/// | status | 1 of 100 SUSPENDED |
/// | first name | a letter and a number: each letter 1 of 26, each name 1 of 2,600 |
/// | last name | `oldcomer` the oldest 1,000; 1 of 50 `smith`; else `name` and a number to 20,000 |
/// | email | all different; 1 of 10 has none |
/// | phone number | all different but for 1 of 20, who share `+10000000000`; 1 of 10 has none |
/// | date of birth | of 25,000 days, and 1 of 50 on 1970-01-01 |
/// | national id | every second has one, of which the index knows the number |
/// | metadata | `ref` all different; `tier` gold 1 of 5, silver 1 of 2; `campaign` spring 1 of 200, autumn 1 of 50; `import` legacy the oldest 1,000 |
/// | changed | 1 of 10 some time between their creation and 2026-06-09; 1 of 500 on 2026-06-10 |
pub async fn crowded_database() -> Database {
    let database = fresh_database().await;
    execute(database.url(), SEED.to_owned()).await;
    execute(database.url(), "vacuum analyze".to_owned()).await;
    database
}

const SEED: &str = r"
do $$
declare definitions text[]; definition text; index text;
begin
    -- Nothing is checked that this script makes so.
    set local session_replication_role = replica;
    -- Filling the indexes at the end takes half the time.
    select array_agg(indexdef) into definitions from pg_indexes
    where schemaname = 'public' and indexname ~ '_by_';
    for index in select indexname from pg_indexes
        where schemaname = 'public' and indexname ~ '_by_' loop
        execute 'drop index ' || index;
    end loop;
    create temp table crowd as
    select n,
        h,
        (lpad(to_hex((extract(epoch from created_at) * 1000)::bigint), 12, '0')
            || '70008000' || lpad(to_hex(n), 12, '0'))::uuid as id,
        created_at,
        case
            when n % 500 = 77 then timestamptz '2026-06-10 00:00Z' + n * interval '0.1 second'
            when n % 10 = 5 then created_at + (h % 1000) / 1000.0 * (timestamptz '2026-06-09' - created_at)
            else created_at
        end as updated_at
    from (
        select n, abs(hashint4(n)::bigint) as h,
            timestamptz '2026-04-01 00:00Z' + n * interval '30 seconds' as created_at
        from generate_series(1, 200000) n
    ) as numbered;
    insert into customers (
        id, version, status, created_at, updated_at, document, first_name_folded, last_name_folded,
        email_folded, phone_number, date_of_birth, metadata, social_id_index, history_entry,
        history_hash
    )
    select id, case when updated_at > created_at then 2 else 1 end,
        case when n % 100 = 0 then 'SUSPENDED' else 'ACTIVE' end, created_at, updated_at,
        json_build_object('id', id, 'firstName', 'Sarah', 'lastName', 'Green'),
        chr(97 + (h % 26)::int) || (h / 26 % 100),
        case when n <= 1000 then 'oldcomer' when n % 50 = 3 then 'smith' else 'name' || h % 20000 end,
        case when n % 10 <> 1 then 'user' || n || '@example.com' end,
        case when n % 20 = 2 then '+10000000000' when n % 10 <> 1 then '+1' || 2000000000 + n end,
        case when n % 50 = 4 then date '1970-01-01' else date '1930-01-01' + (h % 25000)::int end,
        jsonb_strip_nulls(jsonb_build_object(
            'ref', n::text,
            'tier', case when h % 5 = 0 then 'gold' when h % 10 > 4 then 'silver' end,
            'campaign', case when n % 200 = 7 then 'spring' when n % 50 = 6 then 'autumn' end,
            'import', case when n <= 1000 then 'legacy' end
        )),
        case when n % 2 = 0 then sha256(n::text::bytea) end,
        case when updated_at > created_at then 2 else 1 end, '\x00'
    from crowd order by n;
    insert into customer_history (
        customer_id, entry, version, action, actor_type, actor_id, at, request_id, changed_secrets,
        content_digest, hash
    )
    select id, entry, entry, case entry when 1 then 'created' else 'updated' end,
        'service-account', '3fa85f64-5717-4562-b3fc-2c963f66afa6',
        case entry when 1 then created_at else updated_at end, 'request', '{}', '\x00', '\x00'
    from crowd, generate_series(1, 2) entry
    where entry = 1 or updated_at > created_at
    order by case entry when 1 then created_at else updated_at end;
    foreach definition in array definitions loop
        execute definition;
    end loop;
end $$
";
