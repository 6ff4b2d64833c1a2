//! What lists and searches read of 200,000 customers, and that it is the right ones.

use customer_accounts::customers::View;
use customer_accounts::domain::criteria::PageRequest;
use customer_accounts::store::Store;
use customer_accounts::store::cursor::Place;
use customer_accounts::vault::keyring::Keyring;
use customer_accounts::wire::requests;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::support::crowd::{CUSTOMERS, created_at, crowded_database};
use crate::support::store;

/// Most rows of tables that the database may read for a page: 1 of 20. Most shapes need a tenth of
/// it; what needs more has matches that are few for a walk and many for a collection.
const MOST: f64 = 10_000.0;
/// As much where somewhat more than a few customers were changed, and the walk to them begins at the
/// oldest: 1 of 4.
const MOST_OF_MANY_CHANGES: f64 = 50_000.0;

/// Each criterion alone, by a value that many match, few and none, and some together; beside each
/// what it means in SQL.
fn shapes() -> Vec<(Value, String)> {
    let time = |column: &str, comparison: &str, n: i32| {
        let time = created_at(n).to_rfc3339();
        (time.clone(), format!("{column} {comparison} '{time}'"))
    };
    let mut shapes = vec![
        (json!({}), "true".to_owned()),
        (json!({ "status": "ACTIVE" }), "status = 'ACTIVE'".to_owned()),
        (json!({ "status": "SUSPENDED" }), "status = 'SUSPENDED'".to_owned()),
    ];
    // 2026-04-01, 2026-05-03, 2026-06-05T12:00, 2026-06-08 and, after all creations, 2026-06-09T20:00.
    for n in [300, 92_160, 188_640, 195_840, 201_000] {
        for (member, column, comparison) in [
            ("createdAfter", "created_at", ">"),
            ("createdBefore", "created_at", "<"),
            ("updatedAfter", "updated_at", ">"),
            ("updatedBefore", "updated_at", "<"),
        ] {
            let (time, sql) = time(column, comparison, n);
            shapes.push((json!({ member: time }), sql));
        }
        let ((after, after_sql), (before, before_sql)) =
            (time("updated_at", ">", n), time("updated_at", "<", n + 120));
        let window = json!({ "updatedAfter": after, "updatedBefore": before });
        shapes.push((window, format!("{after_sql} and {before_sql}")));
    }
    let metadata = |pairs: Value| {
        let sql = format!("metadata @> '{pairs}'");
        (json!({ "metadata": pairs }), sql)
    };
    shapes.extend(
        [
            json!({ "tier": "silver" }),
            json!({ "tier": "gold" }),
            json!({ "campaign": "autumn" }),
            json!({ "campaign": "spring" }),
            json!({ "import": "legacy" }),
            json!({ "ref": "4711" }),
            json!({ "tier": "none" }),
            json!({ "tier": "gold", "campaign": "spring" }),
        ]
        .map(metadata),
    );
    let prefix =
        |column: &str, prefix: &str| format!("starts_with({column}_name_folded, '{prefix}')");
    for name in ["a", "a5", "a50", "b99", "zz"] {
        shapes.push((json!({ "firstName": name }), prefix("first", name)));
    }
    for name in
        ["n", "smith", "oldcomer", "name1", "name12", "name123", "name1234", "name12345", "zz"]
    {
        shapes.push((json!({ "lastName": name }), prefix("last", name)));
    }
    shapes.extend([
        (
            json!({ "email": "User4712@example.com" }),
            "email_folded = 'user4712@example.com'".into(),
        ),
        (json!({ "phoneNumber": "+12000004712" }), "phone_number = '+12000004712'".into()),
        (json!({ "phoneNumber": "+10000000000" }), "phone_number = '+10000000000'".into()),
        (json!({ "dateOfBirth": "1970-01-02" }), "date_of_birth = '1970-01-02'".into()),
        (json!({ "dateOfBirth": "1970-01-01" }), "date_of_birth = '1970-01-01'".into()),
        (json!({ "socialId": "1", "socialIdCountryCode": "DEU" }), "false".into()),
        (
            json!({ "firstName": "a", "lastName": "n" }),
            format!("{} and {}", prefix("first", "a"), prefix("last", "n")),
        ),
        (
            json!({ "firstName": "a", "lastName": "smith" }),
            format!("{} and {}", prefix("first", "a"), prefix("last", "smith")),
        ),
        (
            json!({ "firstName": "a", "metadata": { "campaign": "spring" } }),
            format!("{} and metadata @> '{{\"campaign\":\"spring\"}}'", prefix("first", "a")),
        ),
        (
            json!({ "status": "SUSPENDED", "metadata": { "tier": "gold" } }),
            "status = 'SUSPENDED' and metadata @> '{\"tier\":\"gold\"}'".into(),
        ),
        (
            json!({ "dateOfBirth": "1970-01-01", "metadata": { "tier": "gold" } }),
            "date_of_birth = '1970-01-01' and metadata @> '{\"tier\":\"gold\"}'".into(),
        ),
        (
            json!({ "updatedAfter": created_at(300), "metadata": { "tier": "gold" } }),
            format!("updated_at > '{}' and metadata @> '{{\"tier\":\"gold\"}}'", created_at(300)),
        ),
        (
            json!({ "updatedAfter": created_at(188_640), "status": "ACTIVE", "lastName": "name1" }),
            format!(
                "updated_at > '{}' and status = 'ACTIVE' and {}",
                created_at(188_640),
                prefix("last", "name1")
            ),
        ),
    ]);
    // Some 6,000 changes.
    let (time, sql) = time("updated_at", ">", 180_000);
    shapes.push((json!({ "updatedAfter": time }), sql));
    shapes
}

fn most(shape: &Value) -> f64 {
    if shape["updatedAfter"] == json!(created_at(180_000).to_rfc3339()) {
        MOST_OF_MANY_CHANGES
    } else {
        MOST
    }
}

fn asked(shape: &Value, sort: &str, limit: u32) -> PageRequest {
    let mut body = shape.clone();
    body["sort"] = json!(sort);
    body["limit"] = json!(limit);
    requests::search(body, "2026-06-15".parse().unwrap()).unwrap()
}

/// How many rows of tables a plan read, and why that is too many, if it is.
fn judged(plan: &Value, faults: &mut Vec<String>) -> f64 {
    let number = |member: &str| plan[member].as_f64().unwrap_or(0.0);
    let kind = plan["Node Type"].as_str().unwrap();
    let mut rows = 0.0;
    if kind == "Seq Scan" {
        faults.push(format!("{kind} of {}", plan["Relation Name"]));
    }
    if ["Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan"].contains(&kind) {
        rows += number("Actual Rows");
        rows += number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
        rows *= number("Actual Loops");
    }
    rows + plan["Plans"].as_array().into_iter().flatten().map(|p| judged(p, faults)).sum::<f64>()
}

/// The ids on the first two pages of 200.
async fn listed(store: &Store, shape: &Value, sort: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut request = asked(shape, sort, 200);
    for _ in 0..2 {
        let page = store.list(&request, View::Masked).await.unwrap();
        ids.extend(page.items.iter().map(|(document, _)| {
            let document: Value = serde_json::from_str(document).unwrap();
            document["id"].as_str().unwrap().to_owned()
        }));
        request.cursor = page.next;
        if request.cursor.is_none() {
            break;
        }
    }
    ids
}

#[tokio::test]
async fn no_list_and_no_search_reads_the_whole_table_and_each_finds_what_it_should() {
    let database = crowded_database().await;
    let store = store(database.url(), &Keyring::generate().unwrap());
    // Its histories were made by SQL, so no keyring is theirs.
    assert!(store.is_migrated().await.unwrap());
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let mut faults = Vec::new();
    for (shape, condition) in shapes() {
        for (sort, direction) in [("-createdAt", "desc"), ("createdAt", "asc")] {
            let expected: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
                "select id::text from customers where {condition}
                 order by created_at {direction}, id {direction} limit 400"
            )))
            .fetch_all(&mut connection)
            .await
            .unwrap();
            assert_eq!(listed(&store, &shape, sort).await, expected, "{shape} {sort}");

            // The first page, one in the middle, one near the end; the largest too.
            for (n, limit) in [
                (None, 50),
                (Some(CUSTOMERS / 2), 50),
                (Some(1_500), 50),
                (Some(198_500), 50),
                (None, 200),
            ] {
                let place = |n| Place { at: created_at(n).timestamp_micros(), id: Uuid::nil() };
                let request = asked(&shape, sort, limit);
                let plans = store.explain(&request, n.map(place)).await.unwrap();
                let mut found = Vec::new();
                let rows: f64 = plans.iter().map(|plan| judged(plan, &mut found)).sum();
                if rows > most(&shape) {
                    found.push(format!("{rows} rows"));
                }
                faults.extend(
                    found.iter().map(|fault| format!("{shape} {sort} after {n:?}: {fault}")),
                );
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
