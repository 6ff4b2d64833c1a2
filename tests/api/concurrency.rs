//! Writes of one customer at the same time. The test holds the customer's row until a write of each
//! instance has read the same version and waits for the row, so that in each run all of these but one
//! come too late. Within an instance writes take turns.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::bodies::{minimal, with};
use crate::support::{Created, Reply, Service, Setup, stored};

/// A write, by one of the instances.
struct Write {
    service: Arc<Service>,
    replaces: bool,
    body: Value,
    if_match: Option<&'static str>,
}

impl Write {
    fn patch(service: &Arc<Service>, body: Value) -> Self {
        Self { service: Arc::clone(service), replaces: false, body, if_match: None }
    }

    fn put(service: &Arc<Service>, body: Value) -> Self {
        Self { replaces: true, ..Self::patch(service, body) }
    }

    fn of(self, if_match: &'static str) -> Self {
        Self { if_match: Some(if_match), ..self }
    }

    async fn send(self, path: &str) -> Reply {
        let call = if self.replaces {
            self.service.put(path, &self.body)
        } else {
            self.service.patch(path, &self.body)
        };
        match self.if_match {
            Some(tag) => call.header("if-match", tag).send().await,
            None => call.send().await,
        }
    }
}

/// Sends all of them so that none can write before one of each instance has read; their answers in any
/// order.
async fn at_once(created: &Created, writes: Vec<Write>) -> Vec<Reply> {
    let service = Arc::clone(&writes[0].service);
    let instances: HashSet<_> = writes.iter().map(|write| Arc::as_ptr(&write.service)).collect();
    let count = i64::try_from(instances.len()).unwrap();
    let mut holder = stored::connect(&service).await;
    let holds = stored::hold(&mut holder, &created.id).await;

    drop(instances);
    let mut sent = JoinSet::new();
    for write in writes {
        let path = created.path.clone();
        sent.spawn(async move { write.send(&path).await });
    }
    all_wait(&service, count).await;
    holds.rollback().await.unwrap();
    sent.join_all().await
}

/// Returns once so many sessions of the service's database wait for a lock.
async fn all_wait(service: &Service, count: i64) {
    let mut observer = stored::connect(service).await;
    for _ in 0..1_000 {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock'",
        )
        .fetch_one(&mut observer)
        .await
        .unwrap();
        if waiting == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not all {count} instances reached the row");
}

async fn one() -> Arc<Service> {
    Arc::new(Service::start().await)
}

/// Instances of the service on one database.
async fn instances<const N: usize>() -> [Arc<Service>; N] {
    let mut services = vec![one().await];
    while services.len() < N {
        let (database, keyring) = (Arc::clone(&services[0].database), &services[0].keyring);
        let setup = Setup::default();
        services.push(Arc::new(Service::over(database, Arc::clone(keyring), setup).await));
    }
    services.try_into().unwrap_or_else(|_| panic!("there are {N}"))
}

/// Five patches, each of which changes something else.
fn five_changes() -> [Value; 5] {
    [
        json!({ "metadata": { "a": "1" } }),
        json!({ "metadata": { "b": "2" } }),
        json!({ "middleName": "Jane" }),
        json!({ "primaryEmail": { "value": "a@b.example" } }),
        json!({ "status": "SUSPENDED" }),
    ]
}

async fn all_five_land(services: &[Arc<Service>]) {
    let service = &services[0];
    let created = service.create(&minimal()).await;
    let writes = five_changes().into_iter().zip(services.iter().cycle());
    let replies =
        at_once(&created, writes.map(|(body, service)| Write::patch(service, body)).collect())
            .await;

    let mut tags: Vec<_> = replies.iter().map(|reply| reply.header("etag")).collect();
    tags.sort_unstable();
    assert_eq!(tags, ["\"2\"", "\"3\"", "\"4\"", "\"5\"", "\"6\""]);
    let read = service.get(&created.path).send().await;
    assert_eq!(read.header("etag"), "\"6\"");
    let mut expected = created.body.clone();
    expected["metadata"] = json!({ "a": "1", "b": "2" });
    expected["middleName"] = json!("Jane");
    expected["primaryEmail"] = json!({ "value": "a@b.example", "verified": false });
    expected["status"] = json!("SUSPENDED");
    assert_eq!(read.json(), expected);
    assert_eq!(stored::versions(service, &created.id).await, [1, 2, 3, 4, 5, 6]);
}

async fn one_of_five_lands(services: &[Arc<Service>], writes: Vec<Write>, created: &Created) {
    let replies = at_once(created, writes).await;
    let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 4));
    for reply in lost {
        reply.is_problem(412, "version_mismatch");
        assert_eq!(reply.json()["currentVersion"], 2);
    }
    assert_eq!(won[0].header("etag"), "\"2\"");
    for service in services {
        assert_eq!(service.get(&created.path).send().await.text, won[0].text);
    }
    assert_eq!(stored::versions(&services[0], &created.id).await, [1, 2]);
}

#[tokio::test]
async fn five_patches_without_a_precondition_all_land() {
    all_five_land(&[one().await]).await;
}

#[tokio::test]
async fn five_patches_of_two_instances_all_land() {
    all_five_land(&instances::<2>().await).await;
}

#[tokio::test]
async fn five_patches_of_as_many_instances_all_land() {
    all_five_land(&instances::<5>().await).await;
}

#[tokio::test]
async fn of_five_patches_of_one_version_exactly_one_lands() {
    let services = [one().await];
    let created = services[0].create(&minimal()).await;
    let writes = five_changes().map(|body| Write::patch(&services[0], body).of("\"1\""));
    one_of_five_lands(&services, writes.into(), &created).await;
}

#[tokio::test]
async fn of_five_writes_of_one_version_by_as_many_instances_exactly_one_lands() {
    let services = instances::<5>().await;
    let created = services[0].create(&minimal()).await;
    let writes = five_changes().into_iter().zip(services.iter().cycle()).enumerate();
    let writes = writes.map(|(index, (body, service))| match index {
        0 | 1 => Write::put(service, with(body)).of("\"1\""),
        _ => Write::patch(service, body).of("\"1\""),
    });
    let writes = writes.collect();
    one_of_five_lands(&services, writes, &created).await;
}

#[tokio::test]
async fn five_replacements_without_a_precondition_all_land_one_after_another() {
    let services = instances::<5>().await;
    let created = services[0].create(&minimal()).await;
    let names = ["A", "B", "C", "D", "E"];
    let writes = names.into_iter().zip(services.iter().cycle());
    let writes = writes
        .map(|(name, service)| Write::put(service, with(json!({ "firstName": name }))))
        .collect();
    let replies = at_once(&created, writes).await;
    let last = replies.iter().find(|reply| reply.header("etag") == "\"6\"").unwrap();
    assert_eq!(services[1].get(&created.path).send().await.text, last.text);
    let mut landed: Vec<_> =
        replies.iter().map(|reply| reply.json()["firstName"].clone()).collect();
    landed.sort_unstable_by_key(Value::to_string);
    assert_eq!(landed, names);
    assert_eq!(stored::versions(&services[0], &created.id).await, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn the_same_patch_five_times_at_once_is_one_version() {
    let services = instances::<5>().await;
    let created = services[0].create(&minimal()).await;
    let same = json!({ "middleName": "Jane" });
    let writes = services.iter().map(|service| Write::patch(service, same.clone())).collect();
    for reply in at_once(&created, writes).await {
        assert_eq!((reply.status.as_u16(), reply.header("etag")), (200, "\"2\""));
    }
    assert_eq!(stored::versions(&services[0], &created.id).await, [1, 2]);
}

#[tokio::test]
async fn a_patch_that_others_make_wrong_meanwhile_is_refused() {
    let services = instances::<5>().await;
    let created =
        services[0].create(&with(json!({ "metadata": { "a": "1", "b": "2", "c": "3" } }))).await;
    let writes = ["d", "e", "f", "g", "h"].into_iter().zip(&services);
    let writes = writes
        .map(|(key, service)| Write::patch(service, json!({ "metadata": { key: "x" } })))
        .collect();
    let replies = at_once(&created, writes).await;
    let (landed, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!(landed.len(), 2, "a customer has five pairs at most");
    for reply in refused {
        reply.is_invalid(&[("/metadata", "too_many_items")]);
    }
    assert_eq!(stored::versions(&services[0], &created.id).await, [1, 2, 3]);
}

#[tokio::test]
async fn another_instance_sees_a_write_at_once() {
    let [first, second] = instances().await;
    let created = first.create(&minimal()).await;
    let patched = second.patch(&created.path, &json!({ "firstName": "B" })).send().await;
    assert_eq!(patched.header("etag"), "\"2\"");
    let known = first.get(&created.path).header("if-none-match", "\"1\"").send().await;
    assert_eq!((known.status.as_u16(), &known.text), (200, &patched.text));
    let stale = first
        .patch(&created.path, &json!({ "firstName": "C" }))
        .header("if-match", "\"1\"")
        .send()
        .await;
    stale.is_problem(412, "version_mismatch");
}
