//! The two secrets: who sees the answer, what leaves a secret as it is, what changes or removes it.

use serde_json::{Value, json};

use crate::support::bodies::{minimal, reference, with};
use crate::support::{ALL_SCOPES, Created, READ_WRITE, Reply, Service, stored};

const ANSWER: &str = "Barbara Gowdy";

/// The security answer as a caller with the scope for it reads it.
async fn clear_answer(service: &Service, created: &Created) -> Value {
    service.get(&created.path).scopes(ALL_SCOPES).send().await.json()["securityAnswer"].clone()
}

async fn social(service: &Service, id: &str, country: &str) -> Created {
    service.create(&with(json!({ "socialId": id, "socialIdCountryCode": country }))).await
}

#[tokio::test]
async fn the_answer_is_clear_to_callers_with_the_scope_and_masked_to_all_others() {
    let service = Service::start().await;
    for (scopes, seen) in [(ALL_SCOPES, ANSWER), (READ_WRITE, "*****")] {
        let sees = |reply: &Reply| assert_eq!(reply.json()["securityAnswer"], seen, "{scopes}");
        let created = service.post("/customers", &reference()).scopes(scopes).send().await;
        sees(&created);
        let path = created.header("location").to_owned();
        sees(&service.get(&path).scopes(scopes).send().await);
        let list = service.get("/customers?limit=1").scopes(scopes).send().await.json();
        assert_eq!(list["data"][0]["securityAnswer"], seen, "{scopes}");
        // Where the write leaves the answer, changes nothing at all, or sends the answer again.
        for patch in
            [json!({ "firstName": "Sally" }), json!({}), json!({ "securityAnswer": ANSWER })]
        {
            sees(&service.patch(&path, &patch).scopes(scopes).send().await);
        }
        sees(&service.put(&path, &minimal()).scopes(scopes).send().await);
        assert_eq!(created.json()["socialId"], "*****6789", "no scope shows the id here");
    }
}

#[tokio::test]
async fn a_new_answer_shows_in_the_answer_of_its_own_write() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    let patch = json!({ "securityAnswer": " Alice Munro " });
    let reply = service.patch(&created.path, &patch).scopes(ALL_SCOPES).send().await;
    assert_eq!(reply.json()["securityAnswer"], "Alice Munro");
    assert_eq!(clear_answer(&service, &created).await, "Alice Munro");
    let reply = service
        .patch(&created.path, &json!({ "securityAnswer": null }))
        .scopes(ALL_SCOPES)
        .send()
        .await;
    assert_eq!(reply.json().get("securityAnswer"), None);
    assert_eq!(clear_answer(&service, &created).await, Value::Null);
}

#[tokio::test]
async fn a_metadata_key_of_the_same_name_is_no_secret() {
    let service = Service::start().await;
    let metadata = json!({ "securityAnswer": "public", "socialId": "7" });
    for body in [
        with(json!({ "securityAnswer": ANSWER, "metadata": metadata })),
        with(json!({ "metadata": metadata })),
    ] {
        let created = service.create(&body).await;
        let answer = body.get("securityAnswer").cloned().unwrap_or_default();
        let read = service.get(&created.path).scopes(ALL_SCOPES).send().await.json();
        assert_eq!(read["metadata"], metadata);
        assert_eq!(read.get("securityAnswer").cloned().unwrap_or_default(), answer);
        let list = service.get("/customers?limit=1").scopes(ALL_SCOPES).send().await.json();
        assert_eq!(list["data"][0], read);
        let masked = service.get(&created.path).send().await.json();
        assert_eq!(masked["metadata"], metadata);
    }
}

#[tokio::test]
async fn neither_secret_stands_in_the_database_in_clear() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    let patch = json!({ "securityAnswer": "Alice Munro", "socialId": "223-45-6789" });
    assert_eq!(service.patch(&created.path, &patch).send().await.status, 200);
    let everything = stored::everything(&service, &created.id).await;
    let sealed = stored::sealed(&service, &created.id).await;
    for clear in [ANSWER, "Alice Munro", "123-45-6789", "123456789", "223-45-6789", "223456789"] {
        assert!(!everything.contains(clear), "{clear}");
        for bytes in [&sealed.social_id, &sealed.social_id_index, &sealed.security_answer] {
            let bytes = bytes.as_ref().unwrap();
            assert!(!bytes.windows(clear.len()).any(|part| part == clear.as_bytes()), "{clear}");
        }
    }
}

#[tokio::test]
async fn a_mask_sent_back_leaves_the_secret() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    let before = stored::sealed(&service, &created.id).await;
    let masks = json!({ "socialId": "*****6789", "securityAnswer": "*****", "firstName": "Sally" });
    let mut sent_back = created.body.clone();
    sent_back["firstName"] = json!("Susan");
    let patched = service.patch(&created.path, &masks).send().await;
    assert_eq!((patched.status.as_u16(), patched.header("etag")), (200, "\"2\""));
    let replaced = service.put(&created.path, &sent_back).send().await;
    assert_eq!((replaced.status.as_u16(), replaced.header("etag")), (200, "\"3\""));
    assert_eq!(replaced.json()["socialId"], "*****6789");
    assert_eq!(stored::sealed(&service, &created.id).await, before);
    assert_eq!(clear_answer(&service, &created).await, ANSWER);
    for entry in stored::history(&service, &created.id).await.split_off(1) {
        assert!(entry.changed_secrets.is_empty());
    }
}

#[tokio::test]
async fn the_mask_of_a_short_id_leaves_it_too() {
    let service = Service::start().await;
    let created = social(&service, "1234567", "DEU").await;
    let before = stored::sealed(&service, &created.id).await;
    let patch = json!({ "socialId": " ***** ", "firstName": "Sally" });
    assert_eq!(service.patch(&created.path, &patch).send().await.json()["socialId"], "*****");
    assert_eq!(stored::sealed(&service, &created.id).await, before);
}

#[tokio::test]
async fn any_other_mask_is_refused() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    for mask in ["*****1234", "*****", "****6789", "******6789", "1*3-45-6789", "*"] {
        service
            .patch(&created.path, &json!({ "socialId": mask }))
            .send()
            .await
            .is_invalid(&[("/socialId", "mask_mismatch")]);
        let mut body = created.body.clone();
        body["socialId"] = json!(mask);
        service
            .put(&created.path, &body)
            .send()
            .await
            .is_invalid(&[("/socialId", "mask_mismatch")]);
    }
    assert_eq!(stored::versions(&service, &created.id).await, [1]);
}

#[tokio::test]
async fn a_mask_means_nothing_where_no_secret_is_stored() {
    let service = Service::start().await;
    let created = service.create(&with(json!({ "socialIdCountryCode": "USA" }))).await;
    let masks = json!({ "socialId": "*****", "securityAnswer": "*****" });
    let errors = [("/socialId", "mask_mismatch"), ("/securityAnswer", "mask_mismatch")];
    service.patch(&created.path, &masks).send().await.is_invalid(&errors);
    let mut body = minimal();
    body["socialIdCountryCode"] = json!("USA");
    body.as_object_mut().unwrap().extend(masks.as_object().unwrap().clone());
    service.put(&created.path, &body).send().await.is_invalid(&errors);
}

#[tokio::test]
async fn a_removed_secret_is_gone_from_the_row() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    let patch = json!({ "socialId": null, "securityAnswer": "" });
    let reply = service.patch(&created.path, &patch).send().await;
    assert_eq!(reply.json()["socialIdCountryCode"], "USA", "the country stays by itself");
    let sealed = stored::sealed(&service, &created.id).await;
    assert_eq!(
        (sealed.social_id, sealed.social_id_index, sealed.security_answer),
        Default::default()
    );
    let history = stored::history(&service, &created.id).await;
    assert_eq!(history[1].changed_secrets, ["socialId", "securityAnswer"]);
    // What was read before means nothing any more.
    service
        .patch(&created.path, &json!({ "socialId": "*****6789" }))
        .send()
        .await
        .is_invalid(&[("/socialId", "mask_mismatch")]);
}

#[tokio::test]
async fn a_new_secret_is_a_new_version_also_where_its_mask_is_the_same() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    let before = stored::sealed(&service, &created.id).await;
    service.wait(1000);
    let patch = json!({ "socialId": "223-45-6789", "securityAnswer": "Alice Munro" });
    let reply = service.patch(&created.path, &patch).send().await;
    assert_eq!(reply.header("etag"), "\"2\"");
    let mut expected = created.body.clone();
    expected["updatedAt"] = json!("2026-06-15T12:00:01.123Z");
    assert_eq!(reply.json(), expected);
    let after = stored::sealed(&service, &created.id).await;
    assert_ne!(before.social_id, after.social_id);
    assert_ne!(before.social_id_index, after.social_id_index);
    assert_ne!(before.security_answer, after.security_answer);
}

#[tokio::test]
async fn an_id_that_stays_is_checked_by_the_rules_of_its_new_country() {
    let service = Service::start().await;
    let created = social(&service, "A1-234567", "DEU").await;
    let before = stored::everything(&service, &created.id).await;
    let refused = [("/socialIdCountryCode", "social_id_invalid")];
    for patch in [
        json!({ "socialIdCountryCode": "USA" }),
        json!({ "socialIdCountryCode": "USA", "socialId": "*****4567" }),
    ] {
        service.patch(&created.path, &patch).send().await.is_invalid(&refused);
    }
    let mut body = minimal();
    body["socialIdCountryCode"] = json!("USA");
    service.put(&created.path, &body).send().await.is_invalid(&refused);
    assert_eq!(stored::everything(&service, &created.id).await, before);

    let patch = json!({ "socialIdCountryCode": "CAN" });
    assert_eq!(service.patch(&created.path, &patch).send().await.json()["socialId"], "*****4567");
}

#[tokio::test]
async fn an_id_that_moves_to_another_country_is_found_under_that_one() {
    let service = Service::start().await;
    let created = social(&service, "123-45-6789", "DEU").await;
    let native = social(&service, "123456789", "USA").await;
    let patch = json!({ "socialIdCountryCode": "USA" });
    let reply = service.patch(&created.path, &patch).send().await;
    assert_eq!(reply.json()["socialId"], "*****6789");
    let (moved, native) =
        (stored::sealed(&service, &created.id).await, stored::sealed(&service, &native.id).await);
    assert_eq!(moved.social_id_index, native.social_id_index);
}

#[tokio::test]
async fn a_new_id_is_checked_by_the_country_that_the_same_patch_leaves() {
    let service = Service::start().await;
    let created = social(&service, "A1-234567", "DEU").await;
    let american = json!({ "socialId": "123-45-6789", "socialIdCountryCode": "USA" });
    assert_eq!(service.patch(&created.path, &american).send().await.status, 200);
    service
        .patch(&created.path, &json!({ "socialId": "A1-234567" }))
        .send()
        .await
        .is_invalid(&[("/socialId", "social_id_invalid")]);
    let german = json!({ "socialId": "A1-234567", "socialIdCountryCode": "DEU" });
    assert_eq!(service.patch(&created.path, &german).send().await.json()["socialId"], "*****4567");
}
