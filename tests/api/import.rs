//! `import`, as an operator runs it beside the service.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::support::bodies::{address, minimal, named, reference, with};
use crate::support::desk::{Desk, told};
use crate::support::program::eventually;
use crate::support::stored::{self, HOLD_CREATIONS, LET_CREATIONS_GO};

#[tokio::test]
async fn every_line_becomes_a_customer_as_a_request_would_make_it() {
    let desk = Desk::new().await;
    let mut lines: Vec<String> =
        (0..1_200).map(|n| named(&format!(" Sarah{n} ")).to_string()).collect();
    // Blank lines are none, and the reference's example can be taken many times.
    lines.push(String::new());
    lines.push(reference().to_string());
    lines.push(reference().to_string());
    desk.file("new.ndjson", &lines);
    let outcome = desk.run(&["import", "new.ndjson"]).await;
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    assert_eq!(told(&outcome), "1202 lines: 1202 created, 0 already there, 0 rejected");
    assert!(!desk.path("new.ndjson.rejected.ndjson").exists());
    assert_eq!(desk.count("customer_history").await, 1_202);

    let customers = desk.customers().await;
    assert_eq!(customers.len(), 1_202);
    assert!(customers.iter().any(|customer| customer["firstName"] == "Sarah7"), "trimmed");
    let example = customers.iter().find(|customer| customer.get("socialId").is_some()).unwrap();
    assert_ne!(example["id"], reference()["id"], "the server's fields are the server's");
    assert_eq!(example["createdBy"], json!({ "type": "internal" }));
    let found = json!({ "socialId": reference()["socialId"], "socialIdCountryCode": "USA" });
    let found = desk.service.post("/customers/search", &found).send().await.json();
    assert_eq!(found["data"].as_array().unwrap().len(), 2);
    let path = format!("/customers/{}", example["id"].as_str().unwrap());
    let history = desk.service.get(&format!("{path}/history")).send().await.json();
    assert_eq!(history["data"][0]["action"], "created");
    let patched = desk.service.patch(&path, &json!({ "gender": "x" })).send().await;
    assert_eq!(patched.header("etag"), "\"2\"", "it lives on as any other");
    assert_eq!(desk.run(&["audit", "verify"]).await.status, Some(0));
}

#[tokio::test]
async fn the_same_again_is_already_there_and_a_new_place_is_a_new_customer() {
    let desk = Desk::new().await;
    let line = minimal().to_string();
    desk.file("twice.ndjson", &[line.clone(), line.clone()]);
    let outcome = desk.run(&["import", "twice.ndjson"]).await;
    assert_eq!(
        told(&outcome),
        "2 lines: 2 created, 0 already there, 0 rejected",
        "{}",
        outcome.stderr
    );
    let outcome = desk.run(&["import", "twice.ndjson"]).await;
    assert_eq!(told(&outcome), "2 lines: 0 created, 2 already there, 0 rejected");
    // Whoever imports, and from wherever, the name tells what is the same import.
    let other = ["--actor-type", "employee", "--subject", "3fa85f64-5717-4562-b3fc-000000000000"];
    let outcome = desk.run(&[&["import", "twice.ndjson"], &other[..]].concat()).await;
    assert_eq!(told(&outcome), "2 lines: 0 created, 2 already there, 0 rejected");
    let outcome = desk.run(&["import", "twice.ndjson", "--name", "another"]).await;
    assert_eq!(told(&outcome), "2 lines: 2 created, 0 already there, 0 rejected");
    assert_eq!(desk.count("customers").await, 4);
}

#[tokio::test]
async fn an_external_key_is_one_customer_wherever_it_stands() {
    let desk = Desk::new().await;
    let keyed =
        |key: &str, name: &str| with(json!({ "externalKey": key, "firstName": name })).to_string();
    let longest = "k".repeat(255);
    desk.file(
        "keyed.ndjson",
        &[
            keyed("a", "Sarah"),
            keyed("a", "Sarah"),
            keyed("b", "Sarah"),
            keyed("a", "Other"),
            keyed(&longest, "X"),
        ],
    );
    let outcome = desk.run(&["import", "keyed.ndjson"]).await;
    assert_eq!(outcome.status, Some(3), "{}", outcome.stderr);
    assert_eq!(told(&outcome), "5 lines: 3 created, 1 already there, 1 rejected");
    let rejected = desk.rejected("keyed.ndjson.rejected.ndjson");
    assert_eq!(rejected[0]["line"], 4);
    assert_eq!(rejected[0]["problem"]["code"], "idempotency_key_reused");
    // What a mask hides is another body all the same.
    let answered = |answer: &str| {
        let answer = json!({
            "externalKey": "d", "securityQuestion": "A pet?", "securityAnswer": answer
        });
        with(answer).to_string()
    };
    desk.file("masked.ndjson", &[answered("Rex"), answered("Bello")]);
    let outcome = desk.run(&["import", "masked.ndjson"]).await;
    assert_eq!(told(&outcome), "2 lines: 1 created, 0 already there, 1 rejected");
    let rejected = desk.rejected("masked.ndjson.rejected.ndjson");
    assert_eq!(rejected[0]["problem"]["code"], "idempotency_key_reused");
    desk.file("again.ndjson", &[keyed("b", "Sarah"), keyed("c", "Sarah")]);
    let outcome = desk.run(&["import", "again.ndjson"]).await;
    assert_eq!(told(&outcome), "2 lines: 1 created, 1 already there, 0 rejected");
    assert_eq!(desk.count("customers").await, 5);
    assert!(desk.customers().await.iter().all(|customer| customer.get("externalKey").is_none()));
}

#[tokio::test]
async fn bad_lines_are_told_with_their_number_and_the_problem_of_the_api() {
    let desk = Desk::new().await;
    let bad_address = {
        let mut address = address();
        address["stateCode"] = json!("ZZ");
        with(json!({ "addresses": [address], "nickname": "secret-value-17" }))
    };
    let lines = [
        minimal().to_string(),
        bad_address.to_string(),
        "{\"firstName\": ".to_owned(),
        "{\"type\":\"INDIVIDUAL\",\"type\":\"INDIVIDUAL\"}".to_owned(),
        "[]".to_owned(),
        with(json!({ "firstName": "x".repeat(70_000) })).to_string(),
        with(json!({ "externalKey": "" })).to_string(),
        with(json!({ "externalKey": 7, "lastName": "" })).to_string(),
        with(json!({ "externalKey": "k".repeat(256) })).to_string(),
        with(json!({ "socialId": "*****6789", "socialIdCountryCode": "USA" })).to_string(),
        with(json!({ "version": 1 })).to_string(),
        minimal().to_string(),
    ];
    desk.file("bad.ndjson", &lines);
    let mut bytes = fs::read(desk.path("bad.ndjson")).unwrap();
    bytes.extend_from_slice(b"{\"firstName\":\"\xff\"}");
    fs::write(desk.path("bad.ndjson"), bytes).unwrap();

    let outcome = desk.run(&["import", "bad.ndjson", "--rejected", "told.ndjson"]).await;
    assert_eq!(outcome.status, Some(3), "{}", outcome.stderr);
    assert_eq!(told(&outcome), "13 lines: 2 created, 0 already there, 11 rejected");
    let mode = fs::metadata(desk.path("told.ndjson")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let rejected = desk.rejected("told.ndjson");
    let found: Vec<Told<'_>> = rejected
        .iter()
        .map(|told| {
            let errors =
                told["problem"]["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
            let mut errors: Vec<_> = errors.iter().map(pointer_and_code).collect();
            errors.sort_unstable();
            (told["line"].as_u64().unwrap(), told["problem"]["code"].as_str().unwrap(), errors)
        })
        .collect();
    assert_eq!(
        found,
        [
            (
                2,
                "validation_failed",
                vec![("/addresses/0/stateCode", "state_unknown"), ("/nickname", "unknown_field")]
            ),
            (3, "malformed_json", vec![]),
            (4, "duplicate_member", vec![]),
            (5, "validation_failed", vec![("", "wrong_type")]),
            (6, "body_too_large", vec![]),
            (7, "validation_failed", vec![("/externalKey", "invalid_value")]),
            (
                8,
                "validation_failed",
                vec![("/externalKey", "wrong_type"), ("/lastName", "too_short")]
            ),
            (9, "validation_failed", vec![("/externalKey", "invalid_value")]),
            (10, "validation_failed", vec![("/socialId", "mask_mismatch")]),
            (11, "validation_failed", vec![("/version", "invalid_value")]),
            (13, "malformed_json", vec![]),
        ]
    );
    for told in &rejected {
        let problem = &told["problem"];
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        let kind = format!("/docs/problems/{}", problem["code"].as_str().unwrap());
        assert_eq!(problem["type"], kind);
    }
    assert!(
        !format!("{rejected:?}{}", outcome.stderr).contains("secret-value"),
        "nothing is echoed"
    );

    // Mended and run again, only what was rejected is new.
    let mut mended = lines;
    mended[1] = named("Mended").to_string();
    desk.file("bad.ndjson", &mended[..2]);
    let outcome = desk.run(&["import", "bad.ndjson", "--rejected", "told.ndjson"]).await;
    assert_eq!(told(&outcome), "2 lines: 1 created, 1 already there, 0 rejected");
    assert!(!desk.path("told.ndjson").exists(), "what an earlier run told is gone");
}

/// A rejected line: its number, the problem's code, the errors.
type Told<'a> = (u64, &'a str, Vec<(&'a str, &'a str)>);

fn pointer_and_code(error: &Value) -> (&str, &str) {
    (error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap())
}

#[tokio::test]
async fn a_dry_run_checks_every_line_and_writes_nothing() {
    let desk = Desk::new().await;
    desk.file("dry.ndjson", &[minimal().to_string(), named("").to_string()]);
    let outcome = desk.run(&["import", "dry.ndjson", "--dry-run"]).await;
    assert_eq!(outcome.status, Some(3), "{}", outcome.stderr);
    assert_eq!(told(&outcome), "2 lines: 1 fit to be created, 1 rejected");
    assert_eq!(desk.rejected("dry.ndjson.rejected.ndjson")[0]["line"], 2);
    assert_eq!(desk.count("customers").await, 0);
}

#[tokio::test]
async fn standard_input_is_read_under_a_name() {
    let desk = Desk::new().await;
    let outcome = desk.run(&["import", "-"]).await;
    assert_eq!(outcome.status, Some(2), "a name is required");
    assert!(outcome.stderr.contains("--name"), "{}", outcome.stderr);
    for created in [1, 0] {
        let mut command = desk.command(&["import", "-", "--name", "piped"]);
        let mut import = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = import.stdin.take().unwrap();
        stdin.write_all(minimal().to_string().as_bytes()).await.unwrap();
        drop(stdin);
        let output = import.wait_with_output().await.unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.starts_with(&format!("1 lines: {created} created")), "{stdout}");
    }
}

#[tokio::test]
async fn what_cannot_be_run_says_why() {
    let desk = Desk::new().await;
    let outcome = desk.run(&["import", "nowhere.ndjson"]).await;
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.stderr.contains("No such file"), "{}", outcome.stderr);
    let outcome = desk.run(&["export", "--with-secrets"]).await;
    assert_eq!(outcome.status, Some(2));
    assert!(outcome.stderr.contains("--output"), "{}", outcome.stderr);
    let outcome = desk.run(&["export", "--output", "nowhere/file"]).await;
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.stderr.contains("cannot be written"), "{}", outcome.stderr);

    // What is read, and what is no ordinary file, is not replaced.
    desk.file("own.ndjson", &[minimal().to_string()]);
    let outcome = desk.run(&["import", "own.ndjson", "--rejected", "./own.ndjson"]).await;
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.stderr.contains("the file that is read"), "{}", outcome.stderr);
    assert!(desk.path("own.ndjson").exists());
    std::os::unix::fs::symlink("/dev/null", desk.path("link")).unwrap();
    for arguments in
        [["import", "own.ndjson", "--rejected", "link"].as_slice(), &["export", "--output", "link"]]
    {
        let outcome = desk.run(arguments).await;
        assert_eq!(outcome.status, Some(1), "{arguments:?}");
        assert!(outcome.stderr.contains("no ordinary file"), "{}", outcome.stderr);
        assert!(desk.path("link").is_symlink());
    }
    assert_eq!(desk.count("customers").await, 0);
}

#[tokio::test]
async fn an_import_that_was_killed_goes_on_without_a_double() {
    let desk = Desk::new().await;
    let lines: Vec<String> = (0..6_000).map(|n| named(&format!("Sarah{n}")).to_string()).collect();
    desk.file("long.ndjson", &lines);
    // The first lines are written, others wait until it is dead.
    let mut past = stored::connect(&desk.service).await;
    sqlx::raw_sql(HOLD_CREATIONS).execute(&mut past).await.unwrap();
    let mut import = desk.command(&["import", "long.ndjson"]).spawn().unwrap();
    eventually("something is written", async || desk.count("customers").await > 0).await;
    import.kill().await.unwrap();
    let before = desk.count("customers").await;
    assert!((1..6_000).contains(&before), "{before} lines were written before it was killed");
    sqlx::raw_sql(LET_CREATIONS_GO).execute(&mut past).await.unwrap();
    let outcome = desk.run(&["import", "long.ndjson"]).await;
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    assert_eq!(desk.count("customers").await, 6_000);
    assert_eq!(desk.count("customer_history").await, 6_000);
    assert_eq!(
        desk.count("(select distinct document->>'firstName' from customers) names").await,
        6_000
    );
    assert!(!told(&outcome).contains(" 0 already there"), "{before} before: {}", outcome.stdout);
    assert_eq!(desk.run(&["audit", "verify"]).await.status, Some(0));
}

#[tokio::test]
async fn a_restored_line_is_one_that_a_service_can_have_written() {
    let desk = Desk::new().await;
    let restored = |changes: Value| {
        let actor = json!({ "type": "internal" });
        let mut line = named("Restored");
        for members in [
            json!({
                "version": 3, "id": "01a20642-0d75-7310-88e4-0da5279a9f75", "createdBy": actor,
                "createdAt": "2026-01-01T00:00:00.000Z", "updatedBy": actor,
                "updatedAt": "2026-02-01T00:00:00.000Z",
            }),
            changes,
        ] {
            line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        }
        line.to_string()
    };
    let bad = [
        json!({ "id": "00000000-0000-0000-0000-000000000000" }),
        json!({ "id": "1" }),
        json!({ "createdBy": null }),
        json!({ "updatedAt": "2025-12-31T23:59:59.999Z" }),
        json!({ "updatedAt": "+12000-01-01T00:00:00.000Z" }),
        json!({ "createdAt": "1899-12-31T23:59:59.999Z" }),
        json!({ "version": 0 }),
        json!({ "version": 1_i64 << 53 }),
        json!({ "version": "3" }),
    ];
    let mut lines: Vec<String> = bad.iter().cloned().map(restored).collect();
    lines.push(restored(json!({})));
    desk.file("restored.ndjson", &lines);
    let outcome = desk.run(&["import", "restored.ndjson"]).await;
    assert_eq!(told(&outcome), "10 lines: 1 created, 0 already there, 9 rejected");
    for told in desk.rejected("restored.ndjson.rejected.ndjson") {
        let errors = told["problem"]["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{told}");
        assert_eq!(pointer_and_code(&errors[0]), ("/version", "invalid_value"), "{told}");
    }
    let read = desk.service.get("/customers/01a20642-0d75-7310-88e4-0da5279a9f75").send().await;
    assert_eq!(read.header("etag"), "\"3\"");
}

#[tokio::test]
async fn what_an_earlier_run_told_stays_until_there_is_a_database() {
    let desk = Desk::new().await;
    desk.file("some.ndjson", &[named("").to_string()]);
    assert_eq!(desk.run(&["import", "some.ndjson"]).await.status, Some(3));
    let mut unreachable = desk.command(&["import", "some.ndjson"]);
    unreachable.env("DATABASE_URL", "postgres://localhost:1/nowhere");
    let outcome = crate::support::binary::run(unreachable).await;
    assert_eq!(outcome.status, Some(1), "{}", outcome.stderr);
    assert_eq!(desk.rejected("some.ndjson.rejected.ndjson").len(), 1);
}
