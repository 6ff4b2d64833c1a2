//! The canary: a national id and a security answer go through all that the service does and all the
//! ways in which it can fail, at the most talkative log level; then they are looked for wherever
//! they must not be.

use customer_accounts::vault::keyring::Keyring;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::bodies::with;
use crate::support::cluster::{PrivateCluster, folder};
use crate::support::holder::eventually;
use crate::support::leaks::{Wanted, dump, files};
use crate::support::program::{Program, Running};

const SOCIAL_ID: &str = "219-09-9937";
const ANSWER: &str = "Ultramarine Aardvark";
/// What is sent to be verified, and is no less secret.
const WRONG_ANSWER: &str = "Vermilion Aardvark";

/// A caller of the running service, who looks at each answer.
struct Caller<'a> {
    service: &'a Running,
    client: Client,
    token: String,
    /// Who may not see secrets.
    plain_token: String,
    wanted: Wanted,
}

impl<'a> Caller<'a> {
    async fn of(service: &'a Running, plain_token: String) -> Self {
        Self {
            service,
            client: Client::builder().no_proxy().build().unwrap(),
            token: service.token().await,
            plain_token,
            wanted: Wanted::new(&[SOCIAL_ID, ANSWER, WRONG_ANSWER]),
        }
    }

    fn call(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.service.address());
        let method: Method = method.parse().unwrap();
        self.client.request(method, url).header("content-type", "application/json")
    }

    /// Sends it as one who may not see secrets; nothing of them is in the answer.
    async fn plain(&self, call: RequestBuilder, status: u16) -> Answer {
        let answer = Answer::of(call.bearer_auth(&self.plain_token)).await;
        self.wanted.is_not_in("the answer", &answer.text);
        self.wanted.is_not_in("the head", &answer.head);
        assert_eq!(answer.status, status, "{}", answer.text);
        answer
    }

    /// Sends it as one who may do everything; nothing of the secrets is in the answer either.
    async fn refused(&self, call: RequestBuilder, status: u16) -> Answer {
        let answer = Answer::of(call.bearer_auth(&self.token)).await;
        self.wanted.is_not_in("the answer", &answer.text);
        self.wanted.is_not_in("the head", &answer.head);
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.text.starts_with(r#"{"type":"/docs/problems/"#), "{}", answer.text);
        answer
    }

    /// Sends it as one who may do everything; the answer is to hold the value.
    async fn shown(&self, call: RequestBuilder, value: &str) {
        let answer = Answer::of(call.bearer_auth(&self.token)).await;
        assert!(answer.text.contains(value), "{}", answer.text);
    }
}

struct Answer {
    status: u16,
    head: String,
    text: String,
}

impl Answer {
    async fn of(call: RequestBuilder) -> Self {
        let reply = call.send().await.unwrap();
        let (status, head) = (reply.status().as_u16(), format!("{:?}", reply.headers()));
        Self { status, head, text: reply.text().await.unwrap() }
    }
}

fn secrets() -> Value {
    json!({ "socialId": SOCIAL_ID, "socialIdCountryCode": "USA", "securityAnswer": ANSWER })
}

/// A customer that has them, with further members laid over it.
fn customer(members: Value) -> Value {
    let mut body = with(secrets());
    let Value::Object(members) = members else { panic!("members are an object") };
    body.as_object_mut().unwrap().extend(members);
    body
}

/// Writes, finds, shows and verifies them, all as it should be; the customer's path.
async fn use_them(caller: &Caller<'_>) -> String {
    let create = caller.call("POST", "/customers").body(customer(json!({})).to_string());
    let created = caller.plain(create.header("idempotency-key", "k"), 201).await;
    let body: Value = serde_json::from_str(&created.text).unwrap();
    let path = format!("/customers/{}", body["id"].as_str().unwrap());
    let create = caller.call("POST", "/customers").body(customer(json!({})).to_string());
    caller.plain(create.header("idempotency-key", "k"), 201).await;
    let spelled = json!({ "socialId": SOCIAL_ID.replace('-', "") }).to_string();
    for (method, body) in [
        ("PATCH", spelled),
        ("PATCH", json!({ "securityAnswer": ANSWER.to_uppercase() }).to_string()),
        ("PATCH", secrets().to_string()),
        ("PUT", customer(json!({ "middleName": "Ann" })).to_string()),
    ] {
        caller.plain(caller.call(method, &path).body(body), 200).await;
    }
    let criteria = json!({ "socialId": SOCIAL_ID, "socialIdCountryCode": "USA" }).to_string();
    let found = caller.call("POST", "/customers/search").body(criteria.clone());
    assert!(caller.plain(found, 200).await.text.contains("*****9937"));
    let more = format!("{path}/history");
    assert!(caller.plain(caller.call("GET", &more), 200).await.text.contains("*****9937"));
    for below in ["", "/history/1"] {
        caller.plain(caller.call("GET", &format!("{path}{below}")), 200).await;
    }

    // The only answers that hold them.
    let reveal = caller.call("POST", &format!("{path}/social-id/reveal"));
    caller.shown(reveal.body(json!({ "purpose": "a check" }).to_string()), SOCIAL_ID).await;
    caller.shown(caller.call("GET", &path), ANSWER).await;
    caller.shown(caller.call("GET", "/customers"), ANSWER).await;
    caller.shown(caller.call("POST", "/customers/search").body(criteria), ANSWER).await;
    caller.shown(caller.call("PATCH", &path).body(secrets().to_string()), ANSWER).await;

    let verify = format!("{path}/security-answer/verify");
    for (answer, status) in
        [(ANSWER, 200)].into_iter().chain([(WRONG_ANSWER, 200); 5]).chain([(ANSWER, 429)])
    {
        let body = json!({ "answer": answer }).to_string();
        caller.plain(caller.call("POST", &verify).body(body), status).await;
    }
    path
}

/// Sends them with all that can be wrong about a request.
async fn misuse_them(caller: &Caller<'_>, path: &str) {
    let (reveal, verify) =
        (format!("{path}/social-id/reveal"), format!("{path}/security-answer/verify"));
    let unknown = "/customers/00000000-0000-8000-8000-000000000007";
    let good = customer(json!({})).to_string();
    let bad = |members: Value| customer(members).to_string();
    let cut = &good[..good.len() - 1];
    let twice = format!(r#"{cut},"socialId":"{SOCIAL_ID}","securityAnswer":"{ANSWER}"}}"#);
    for (method, path, body, status) in [
        // Refused for other members, or for what they are themselves.
        ("POST", "/customers", bad(json!({ "firstName": 7, "sex": "NONE" })), 422),
        ("POST", "/customers", bad(json!({ "unknown": SOCIAL_ID, "other": [ANSWER] })), 422),
        ("POST", "/customers", bad(json!({ "socialIdCountryCode": SOCIAL_ID })), 422),
        ("POST", "/customers", bad(json!({ "socialIdCountryCode": null })), 422),
        ("POST", "/customers", bad(json!({ "socialId": format!("{SOCIAL_ID}*") })), 422),
        ("POST", "/customers", bad(json!({ "socialId": format!("{SOCIAL_ID}0") })), 422),
        ("POST", "/customers", bad(json!({ "socialId": [SOCIAL_ID] })), 422),
        ("POST", "/customers", bad(json!({ "socialId": format!("{SOCIAL_ID}\u{0}") })), 422),
        ("POST", "/customers", bad(json!({ "securityAnswer": ANSWER.repeat(20) })), 422),
        ("POST", "/customers", bad(json!({ "securityAnswer": { "is": ANSWER } })), 422),
        ("POST", "/customers", bad(json!({ "dateOfBirth": SOCIAL_ID, "status": ANSWER })), 422),
        ("POST", "/customers", bad(json!({ "primaryPhoneNumber": { "number": SOCIAL_ID } })), 422),
        ("POST", "/customers", bad(json!({ "primaryEmail": { "value": ANSWER } })), 422),
        ("PATCH", path, json!({ "socialId": SOCIAL_ID, "firstName": null }).to_string(), 422),
        ("PUT", path, secrets().to_string(), 422),
        ("POST", "/customers/search", secrets().to_string(), 422),
        ("POST", "/customers/search", json!({ "socialId": SOCIAL_ID }).to_string(), 422),
        ("POST", &reveal, json!({ "socialId": SOCIAL_ID }).to_string(), 422),
        ("POST", &verify, json!({ "answer": [ANSWER], "socialId": SOCIAL_ID }).to_string(), 422),
        // No JSON.
        ("POST", "/customers", cut.to_owned(), 400),
        ("PATCH", path, format!("{{{SOCIAL_ID} {ANSWER}}}"), 400),
        ("PUT", path, twice, 400),
        ("POST", &verify, format!(r#"{{"answer":{ANSWER}}}"#), 400),
        ("POST", "/customers/search", format!(r#"{{"socialId":"{SOCIAL_ID}\x"}}"#), 400),
        ("POST", "/customers", format!("{good}{}", " ".repeat(64 * 1024)), 413),
        // Not there, not now.
        ("PATCH", unknown, good.clone(), 404),
        (
            "POST",
            &format!("{unknown}/security-answer/verify"),
            format!(r#"{{"answer":"{ANSWER}"}}"#),
            404,
        ),
        ("POST", "/nothing", good.clone(), 404),
        ("PUT", "/customers", good.clone(), 405),
        ("POST", &verify, json!({ "answer": WRONG_ANSWER }).to_string(), 429),
    ] {
        caller.refused(caller.call(method, path).body(body), status).await;
    }
    let good = || good.clone();
    for (call, status) in [
        (caller.call("PATCH", path).header("if-match", "\"1\"").body(good()), 412),
        (caller.call("PATCH", path).header("if-match", SOCIAL_ID).body(good()), 400),
        (caller.call("POST", "/customers").header("accept", ANSWER).body(good()), 406),
        (caller.call("POST", "/customers").header("content-encoding", ANSWER).body(good()), 415),
        (
            caller
                .call("POST", "/customers")
                .header("idempotency-key", "k")
                .body(with(json!({ "securityAnswer": ANSWER })).to_string()),
            422,
        ),
        // Where callers must not put them.
        (caller.call("GET", "/customers?socialId=219-09-9937&limit=Ultramarine+Aardvark"), 400),
        (caller.call("GET", "/customers?metadata[a]=b&status=219-09-9937"), 400),
        (caller.call("GET", &format!("/customers?cursor={SOCIAL_ID}")), 400),
    ] {
        caller.refused(call, status).await;
    }
    let url = format!("http://{}/customers", caller.service.address());
    let text = caller.client.post(&url).header("content-type", "text/plain").body(good());
    caller.refused(text, 415).await;
    let bytes = [good().as_bytes(), b"\xff"].concat();
    caller.refused(caller.call("POST", "/customers").body(bytes), 400).await;
    // Without a token, and with one that holds them.
    for call in [
        caller.call("POST", "/customers").body(good()),
        caller.call("POST", "/customers").bearer_auth(SOCIAL_ID).body(good()),
        caller.call("POST", "/customers").basic_auth(SOCIAL_ID, Some(ANSWER)).body(good()),
    ] {
        let answer = Answer::of(call).await;
        assert_eq!(answer.status, 401, "{}", answer.text);
        caller.wanted.is_not_in("the answer", answer.text + &answer.head);
    }
    let reader = caller.call("POST", &reveal).body(json!({ "purpose": "a check" }).to_string());
    caller.plain(reader, 403).await;
}

/// Goes away in the middle of a body.
async fn break_off(caller: &Caller<'_>) {
    let mut stream = TcpStream::connect(caller.service.address()).await.unwrap();
    let head = format!(
        "POST /customers HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\ncontent-length: 9000\r\n\r\n{}",
        caller.token,
        customer(json!({}))
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    let broke = "a connection broke";
    eventually("it is noticed", async || caller.service.log().contains(broke)).await;
}

/// Sends them while the service itself is broken.
async fn break_it(caller: &Caller<'_>, path: &str, database: &str) {
    let mut connection = PgConnection::connect(database).await.unwrap();
    let id = path.strip_prefix("/customers/").unwrap();
    let swap = format!(
        "update customers set wrong_answers_at = '{{}}', social_id_sealed = security_answer_sealed,
             security_answer_sealed = social_id_sealed
         where id = '{id}'"
    );
    let verify = format!("{path}/security-answer/verify");
    let answer = json!({ "answer": ANSWER }).to_string();
    let purpose = json!({ "purpose": "a check" }).to_string();
    connection.execute(AssertSqlSafe(swap.clone())).await.unwrap();
    for call in [
        caller.call("POST", &verify).body(answer),
        caller.call("POST", &format!("{path}/social-id/reveal")).body(purpose),
        caller.call("GET", path),
    ] {
        caller.refused(call, 500).await;
    }
    connection.execute(AssertSqlSafe(swap)).await.unwrap();

    // The database refuses the row, and its own words tell the row.
    let refuse =
        "alter table customers add constraint refusal check (pg_backend_pid() = 0) not valid";
    connection.execute(refuse).await.unwrap();
    let change = customer(json!({ "securityAnswer": WRONG_ANSWER, "sex": "MALE" })).to_string();
    caller.refused(caller.call("POST", "/customers").body(change.clone()), 500).await;
    caller.refused(caller.call("PATCH", path).body(change.clone()), 500).await;
    connection.execute("alter table customers drop constraint refusal").await.unwrap();
    connection.execute("alter table customers rename to away").await.unwrap();
    caller.refused(caller.call("POST", "/customers").body(change), 500).await;
    connection.execute("alter table away rename to customers").await.unwrap();

    // Gone, and then sent again.
    let answer = Answer::of(caller.call("DELETE", path).bearer_auth(&caller.token)).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
    for (method, path) in [("PATCH", path), ("PUT", path)] {
        let call = caller.call(method, path).body(customer(json!({})).to_string());
        caller.refused(call, 410).await;
    }
}

#[tokio::test]
async fn no_secret_is_in_a_log_a_table_a_file_of_the_database_or_an_error() {
    let (mut cluster, data) = (PrivateCluster::start().await, folder());
    Keyring::read_or_create(&data.path().join("keyring.json")).unwrap();
    let plain_token = Program::new(data.path())
        .args(&["token", "--scope", "customers:read customers:write"])
        .run()
        .await
        .succeeded()
        .stdout;
    let mut service = Program::new(data.path())
        .set("DATABASE_URL", cluster.url())
        .set("LOG_LEVEL", "trace")
        .start()
        .await;

    let caller = Caller::of(&service, plain_token.trim().to_owned()).await;
    // A customer that stays, and by whose name the search can be seen to find what is there.
    let stays = customer(json!({ "lastName": "Quokkaville" })).to_string();
    let call = caller.call("POST", "/customers").header("x-request-id", "request-quokka");
    caller.plain(call.body(stays), 201).await;
    let path = use_them(&caller).await;
    misuse_them(&caller, &path).await;
    break_off(&caller).await;
    break_it(&caller, &path, cluster.url()).await;

    let Caller { wanted, .. } = caller;
    service.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(service.ended().await.success());
    let log = service.log();
    assert!(log.contains(r#""level":"DEBUG""#), "the log is at its most talkative");
    assert!(log.contains("request-quokka") && log.contains(path.as_str()));
    wanted.is_not_in("the log", &log);
    // Nor what else is personal.
    for name in ["Quokkaville", "quokkaville", "Sarah", "sarah", "*****9937"] {
        assert!(!log.contains(name), "the log holds {name}");
    }

    let tables = dump(cluster.url()).await;
    assert!(tables.contains("Quokkaville") && tables.contains("*****9937"));
    wanted.is_not_in("a table", &tables);

    cluster.stop().await;
    let name = Wanted::new(&["Quokkaville"]);
    let (mut logged, mut stored) = (0, 0);
    for file in files(cluster.data_dir()) {
        let bytes = std::fs::read(&file).unwrap();
        let place = file.display().to_string();
        wanted.is_not_in(&place, &bytes);
        let holds_the_name = !name.found_in(&bytes).is_empty();
        logged += usize::from(holds_the_name && place.contains("/pg_wal/"));
        stored += usize::from(holds_the_name && place.contains("/base/"));
    }
    assert!(logged > 0 && stored > 0, "what is not sealed is found in both");
    // The service's own folder holds its keys, and nothing of what they seal.
    for file in files(data.path()) {
        wanted.is_not_in("the data folder", std::fs::read(&file).unwrap());
    }
}
