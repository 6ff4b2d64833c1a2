//! `DELETE /customers/{id}`: the personal data are gone for good; who did what when stays.

use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::bodies::{minimal, with};
use crate::support::leaks::{Wanted, dump};
use crate::support::{ALL_SCOPES, Created, Service, Setup, store};

/// What is stored of the customer in clear text, of the first version and of the second.
const CLEAR: [&str; 24] = [
    "Wilhelmine",
    "Quendoline",
    "Zanzibari",
    "Dr. Phil. Mag.",
    "Esq. the Third",
    "Demigendered",
    "Zie/Zir/Zirs",
    "Which aardvark was yours?",
    "17 Xylophone Alley",
    "Behind the Yew Hedge",
    "Yokohama-Chi",
    "QX-77-421",
    "Recipient Oduya",
    "wilhelmine.z@quokka.example",
    "+14155550142",
    "Telco Nonesuch",
    "4711-0815",
    "1977-03-29",
    "Ouagadougou",
    "crmReference",
    "CRM-998877",
    // A second version, and the purpose of a reveal.
    "quendoline@second.example",
    "Second Street 2222",
    "fraud case 556677 of Ms Zanzibari",
];
/// What is stored of it sealed alone, but for the last digits in the mask.
const SEALED: [&str; 4] = ["219-09-9937", "219-09-8846", "Blue Aardvark", "Green Aardvark"];
/// What the masks show.
const MASKED: [&str; 2] = ["*****9937", "*****8846"];
/// How often an erasure races with changes.
const ROUNDS: usize = 8;

async fn rich(service: &Service) -> Created {
    let customer = service
        .create(&json!({
            "type": "INDIVIDUAL", "firstName": "Wilhelmine", "middleName": "Quendoline",
            "lastName": "Zanzibari", "prefix": "Dr. Phil. Mag.", "suffix": "Esq. the Third",
            "gender": "Demigendered", "pronoun": "Zie/Zir/Zirs", "sex": "FEMALE",
            "securityQuestion": "Which aardvark was yours?", "securityAnswer": "Blue Aardvark",
            "addresses": [{
                "type": "SHIPPING", "streetLine1": "17 Xylophone Alley",
                "streetLine2": "Behind the Yew Hedge", "cityName": "Yokohama-Chi",
                "countryCode": "JPN", "zipCode": "QX-77-421", "primary": true,
                "name": { "firstName": "Recipient", "lastName": "Recipient Oduya" }
            }],
            "primaryEmail": { "value": "wilhelmine.z@quokka.example", "verified": true },
            "primaryPhoneNumber": {
                "number": "+1 (415) 555-0142", "provider": "Telco Nonesuch", "extension": "4711-0815"
            },
            "dateOfBirth": "1977-03-29",
            "placeOfBirth": { "city": "Ouagadougou", "countryCode": "BFA" },
            "socialId": "219-09-9937", "socialIdCountryCode": "USA",
            "metadata": { "crmReference": "CRM-998877" }
        }))
        .await;
    let path = &customer.path;
    service.wait(1_000);
    let second = json!({
        "primaryEmail": { "value": "quendoline@second.example" }, "socialId": "219-09-8846",
        "securityAnswer": "Green Aardvark",
        "addresses": [{
            "type": "MAILING", "streetLine1": "Second Street 2222", "cityName": "Berlin",
            "countryCode": "DEU", "primary": true
        }]
    });
    assert_eq!(service.patch(path, &second).send().await.status, 200);
    let purpose = json!({ "purpose": "fraud case 556677 of Ms Zanzibari" });
    let reveal = service.post(&format!("{path}/social-id/reveal"), &purpose);
    assert_eq!(reveal.scopes("customers:reveal").send().await.status, 200);
    let wrong = service
        .post(&format!("{path}/security-answer/verify"), &json!({ "answer": "Pink Aardvark" }));
    assert_eq!(wrong.send().await.json(), json!({ "matches": false }));
    customer
}

#[track_caller]
fn holds_nothing_of_it(dump: &str) {
    Wanted::new(&[CLEAR.as_slice(), &SEALED].concat()).is_not_in("the database", dump);
    for mask in MASKED {
        assert!(!dump.contains(mask), "the database holds {mask}");
    }
}

/// Asserts that every chain holds, and how many there are.
async fn histories_are_whole(service: &Service, customers: usize) {
    let store = store(service.database.url(), &service.keyring);
    assert!(store.is_ready().await.unwrap());
    let (_, checked, broken) = store.audit(Uuid::nil(), None).await.unwrap();
    assert_eq!((checked, broken), (customers, None));
}

#[tokio::test]
async fn an_erased_customer_is_gone_from_every_answer() {
    let service = Service::start().await;
    let customer = rich(&service).await;
    let other = service.create(&with(json!({ "lastName": "Zanzibari" }))).await;
    let path = &customer.path;
    let erased = service.delete(path).send().await;
    assert_eq!((erased.status.as_u16(), erased.text.as_str()), (204, ""));
    assert_eq!(erased.header("cache-control"), "no-store");

    let reveal = json!({ "purpose": "to see what is left" });
    let answer = json!({ "answer": "Green Aardvark" });
    for call in [
        service.get(path),
        service.request(Method::HEAD, path),
        service.get(path).header("if-none-match", "\"2\""),
        service.get(path).scopes(ALL_SCOPES),
        service.patch(path, &json!({ "firstName": "Eve" })),
        service.patch(path, &json!({ "firstName": null })),
        service.put(path, &minimal()),
        service.put(path, &minimal()).header("if-match", "\"2\""),
        service.delete(path),
        service.delete(path).header("if-match", "*"),
        service.get(&format!("{path}/history/1")),
        service.get(&format!("{path}/history/2")),
        service.get(&format!("{path}/history/3")),
        service.post(&format!("{path}/social-id/reveal"), &reveal).scopes(ALL_SCOPES),
        service.post(&format!("{path}/security-answer/verify"), &answer),
    ] {
        let reply = call.send().await;
        assert_eq!(reply.status, 410, "{}", reply.text);
        // The answer to HEAD has no body to look at.
        if !reply.text.is_empty() {
            reply.is_problem(410, "erased");
        }
    }
    service.get(&format!("{path}/history/4")).send().await.is_problem(404, "not_found");

    for query in ["", "?status=ACTIVE", "?sort=createdAt", "?updatedAfter=2020-01-01T00:00:00Z"] {
        let list = service.get(&format!("/customers{query}")).send().await.json();
        assert_eq!(list["data"], json!([other.body]), "{query}");
    }
    let none = json!([]);
    let list = service.get("/customers?metadata[crmReference]=CRM-998877").send().await.json();
    assert_eq!(list["data"], none);
    for criteria in [
        json!({ "firstName": "wil" }),
        json!({ "email": "wilhelmine.z@quokka.example" }),
        json!({ "email": "quendoline@second.example" }),
        json!({ "phoneNumber": "+14155550142" }),
        json!({ "dateOfBirth": "1977-03-29" }),
        json!({ "metadata": { "crmReference": "CRM-998877" } }),
        json!({ "socialId": "219098846", "socialIdCountryCode": "USA" }),
    ] {
        let found = service.post("/customers/search", &criteria).send().await;
        assert_eq!(found.json()["data"], none, "{criteria}");
    }
    let found = service.post("/customers/search", &json!({ "lastName": "zanz" })).send().await;
    assert_eq!(found.json()["data"], json!([other.body]));
}

#[tokio::test]
async fn the_history_of_an_erased_customer_tells_who_did_what_when() {
    let service = Service::start().await;
    let customer = rich(&service).await;
    let history = format!("{}/history", customer.path);
    let before = service.get(&history).send().await.json();
    assert_eq!(before["data"].as_array().unwrap().len(), 3);
    service.wait(1_000);
    let erase = service.delete(&customer.path).header("x-request-id", "the-erasure");
    assert_eq!(erase.send().await.status, 204);

    let after = service.get(&history).send().await;
    assert_eq!(after.status, 200, "{}", after.text);
    let after = after.json();
    let entries = after["data"].as_array().unwrap();
    let actor = json!({ "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "type": "service-account" });
    assert_eq!(
        entries[0],
        json!({
            "entry": 4, "version": 3, "action": "erased", "actor": actor,
            "at": "2026-06-15T12:00:02.123Z", "requestId": "the-erasure", "changes": []
        })
    );
    // The others are what they were, but for what they held.
    let shell = |entry: &Value| {
        let mut entry = entry.clone();
        entry.as_object_mut().unwrap().shift_remove("purpose");
        entry["changes"] = json!([]);
        entry
    };
    let shells: Vec<_> = before["data"].as_array().unwrap().iter().map(shell).collect();
    assert_eq!(entries[1..], shells);
    assert_eq!(entries[1]["action"], "revealed");
}

#[tokio::test]
async fn an_erasure_keeps_to_if_match() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    service.patch(&customer.path, &json!({ "sex": "MALE" })).send().await;
    let before = dump(service.database.url()).await;
    for stale in ["\"1\"", "\"3\"", "W/\"2\"", "\"1\", \"3\""] {
        let reply = service.delete(&customer.path).header("if-match", stale).send().await;
        reply.is_problem(412, "version_mismatch");
        assert_eq!(reply.json()["currentVersion"], 2);
    }
    let reply = service.delete(&customer.path).header("if-match", "2").send().await;
    reply.is_problem(400, "invalid_header");
    assert!(dump(service.database.url()).await == before, "nothing is written");
    let reply = service.delete(&customer.path).header("if-match", "\"2\"").send().await;
    assert_eq!(reply.status, 204, "{}", reply.text);

    let strict = Service::start_with(Setup { require_if_match: true, ..Setup::default() }).await;
    let customer = strict.create(&minimal()).await;
    let bare = strict.delete(&customer.path).send().await;
    bare.is_problem(428, "precondition_required");
    assert_eq!(strict.get(&customer.path).send().await.status, 200);
    let reply = strict.delete(&customer.path).header("if-match", "\"1\"").send().await;
    assert_eq!(reply.status, 204, "{}", reply.text);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_erased() {
    let service = Service::start().await;
    let path = format!("/customers/{}", Uuid::from_u128(7));
    service.delete(&path).send().await.is_problem(404, "not_found");
    let history = service.get(&format!("{path}/history")).send().await;
    history.is_problem(404, "not_found");
}

#[tokio::test]
async fn the_database_holds_none_of_an_erased_customers_values() {
    let service = Service::start().await;
    let customer = rich(&service).await;
    let url = service.database.url();
    let before = dump(url).await;
    for value in CLEAR.iter().chain(&MASKED) {
        assert!(before.contains(value), "{value} is stored, or its absence would tell nothing");
    }
    Wanted::new(&SEALED).is_not_in("the database before", &before);
    assert_eq!(service.delete(&customer.path).send().await.status, 204);

    let after = dump(url).await;
    assert!(after.contains(&customer.id));
    holds_nothing_of_it(&after);
    // Nor what tells of a value without being one.
    let columns = "select string_agg(key, ' ' order by key) from customers,
        json_each_text(row_to_json(customers)) where value not in ('', '{}', '[]')";
    let mut connection = PgConnection::connect(url).await.unwrap();
    let left: String = sqlx::query_scalar(columns).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert_eq!(left, "created_at erased_at history_entry history_hash id updated_at version");
    histories_are_whole(&service, 1).await;
}

#[tokio::test]
async fn another_customer_stays_as_it_is() {
    let service = Service::start().await;
    let [customer, twin] = [rich(&service).await, rich(&service).await];
    let read = async || {
        let customer = service.get(&twin.path).scopes(ALL_SCOPES).send().await;
        let history = service.get(&format!("{}/history", twin.path)).send().await;
        (customer.text, history.text)
    };
    let before = read().await;
    assert_eq!(service.delete(&customer.path).send().await.status, 204);
    assert_eq!(read().await, before);
    let found = json!({ "socialId": "219-09-8846", "socialIdCountryCode": "USA" });
    let found = service.post("/customers/search", &found).send().await.json();
    assert_eq!(found["data"][0]["id"], json!(twin.id));
    histories_are_whole(&service, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_erasure_and_changes_at_once_no_personal_data_are_left() {
    let one = Arc::new(Service::start().await);
    let other = Arc::new(
        Service::over(Arc::clone(&one.database), Arc::clone(&one.keyring), Setup::default()).await,
    );
    for round in 0..ROUNDS {
        let path: &'static str = rich(&one).await.path.leak();
        let mut writes = JoinSet::new();
        for write in 0..9 {
            let service = Arc::clone(if write % 2 == 0 { &one } else { &other });
            writes.spawn(async move {
                let name = format!("Zanzibari {write}");
                let change = json!({ "lastName": name, "socialId": "219-09-9937" });
                let reason = json!({ "purpose": "fraud case 556677 of Ms Zanzibari" });
                let reveal = format!("{path}/social-id/reveal");
                let call = match write {
                    // The erasure comes early or late among the others.
                    _ if write == round => service.delete(path),
                    8 => service.post(&reveal, &reason).scopes(ALL_SCOPES),
                    _ => service.patch(path, &change),
                };
                let reply = call.send().await;
                (write == round, reply)
            });
        }
        for (erasure, reply) in writes.join_all().await {
            match reply.status.as_u16() {
                204 => assert!(erasure),
                200 => assert!(!erasure),
                _ => {
                    assert!(!erasure, "{}", reply.text);
                    reply.is_problem(410, "erased");
                }
            }
        }
        other.get(path).send().await.is_problem(410, "erased");
    }
    holds_nothing_of_it(&dump(one.database.url()).await);
    histories_are_whole(&one, ROUNDS).await;
}
