//! The bounds of parameters: of the query, beyond which there is a 400, and of the path and headers.

use axum::http::Method;
use serde_json::Value;

use crate::support::Service;
use crate::support::bodies::minimal;
use crate::support::contract::{DOCUMENT, fill, operations, resolve};

/// Values of a query parameter that are taken and that are refused.
#[derive(Default)]
struct Probes {
    taken: Vec<String>,
    refused: Vec<String>,
}

impl Probes {
    fn of(schema: &'static Value, name: &str) -> Self {
        let mut probes = Self::default();
        for (keyword, bound) in resolve(schema).as_object().unwrap() {
            match keyword.as_str() {
                "description" | "default" | "examples" | "x-enum-varnames" => {}
                "type" => probes.kind(bound.as_str().unwrap(), name),
                "minimum" => probes.around(bound.as_i64().unwrap(), -1),
                "maximum" => probes.around(bound.as_i64().unwrap(), 1),
                "enum" => {
                    for value in bound.as_array().unwrap() {
                        let value = value.as_str().unwrap();
                        probes.taken.push(value.to_owned());
                        probes.refused.extend([value.to_lowercase(), value.to_uppercase()]);
                    }
                    probes.refused.retain(|value| !probes.taken.contains(value));
                    probes.refused.extend(["OTHER".to_owned(), String::new()]);
                }
                "format" => {
                    assert_eq!(bound, "date-time", "{name}: no probe for this format");
                    probes.taken.push("2025-01-01T00:00:00.000Z".to_owned());
                    probes.taken.push("2025-01-01T02:00:00+02:00".to_owned());
                    let refused = ["2025-01-01", "2025-02-29T00:00:00Z", "yesterday", "", "0"];
                    probes.refused.extend(refused.map(ToOwned::to_owned));
                }
                _ => panic!("{name}: no probe for {keyword}"),
            }
        }
        probes
    }

    fn kind(&mut self, kind: &str, name: &str) {
        match kind {
            "integer" => {
                let refused = ["", "x", "1.5", "1e1", "0x1", "-1", "99999999999999999999"];
                self.refused.extend(refused.map(ToOwned::to_owned));
            }
            "string" => {}
            _ => panic!("{name}: no probe for the type {kind}"),
        }
    }

    fn around(&mut self, bound: i64, beyond: i64) {
        self.taken.push(bound.to_string());
        self.refused.push((bound + beyond).to_string());
    }
}

/// Query strings of a map parameter that are taken and that are refused.
fn map(schema: &'static Value, name: &str) -> Probes {
    let number = |bound: &Value| usize::try_from(bound.as_u64().unwrap()).unwrap();
    let pairs = |count: usize| (0..count).map(|n| format!("{name}[k{n}]=v")).collect::<Vec<_>>();
    let key = |length: usize| format!("{name}[{}]=v", "%C3%A9".repeat(length));
    let value = |length: usize| format!("{name}[k]={}", "%C3%A9".repeat(length));
    let mut probes = Probes::default();
    let mut both = |taken: String, refused: String| {
        probes.taken.push(taken);
        probes.refused.push(refused);
    };
    for (keyword, bound) in resolve(schema).as_object().unwrap() {
        match keyword.as_str() {
            "type" | "description" => {}
            "maxProperties" => {
                both(pairs(number(bound)).join("&"), pairs(number(bound) + 1).join("&"));
            }
            "propertyNames" | "additionalProperties" => {
                let of: &dyn Fn(usize) -> String =
                    if keyword == "propertyNames" { &key } else { &value };
                for (keyword, bound) in resolve(bound).as_object().unwrap() {
                    match keyword.as_str() {
                        "type" | "description" => {}
                        "minLength" => both(of(number(bound)), of(number(bound) - 1)),
                        "maxLength" => both(of(number(bound)), of(number(bound) + 1)),
                        _ => panic!("{name}: no probe for {keyword}"),
                    }
                }
            }
            _ => panic!("{name}: no probe for {keyword}"),
        }
    }
    probes
}

/// Every parameter of every operation, those of its path too.
fn parameters() -> Vec<(&'static str, String, &'static Value)> {
    operations()
        .into_iter()
        .flat_map(|(path, method, operation)| {
            let of_the_path = &DOCUMENT["paths"][path]["parameters"];
            [&operation["parameters"], of_the_path]
                .into_iter()
                .filter_map(Value::as_array)
                .flatten()
                .map(move |parameter| (path, method.clone(), resolve(parameter)))
        })
        .collect()
}

#[tokio::test]
async fn the_bounds_of_queries_are_the_documents() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    let mut count = 0;
    for (path, method, parameter) in parameters() {
        let path = fill(path, &customer.id);
        if parameter["in"] != "query" {
            continue;
        }
        let name = parameter["name"].as_str().unwrap();
        let probes = if parameter["style"] == "deepObject" {
            map(&parameter["schema"], name)
        } else {
            let mut probes = Probes::of(&parameter["schema"], name);
            for value in probes.taken.iter_mut().chain(&mut probes.refused) {
                *value = form_urlencoded::Serializer::new(String::new())
                    .append_pair(name, value)
                    .finish();
            }
            probes
        };
        let get = |query: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            service.request(method, &format!("{path}?{query}"))
        };
        for query in &probes.taken {
            let reply = get(query).send().await;
            assert_eq!(reply.status, 200, "{query}: {}", reply.text);
        }
        for query in &probes.refused {
            let reply = get(query).send().await;
            assert_eq!(reply.status, 400, "{query}: {}", reply.text);
            reply.is_problem(400, "invalid_query");
        }
        count += probes.taken.len() + probes.refused.len();
    }
    assert!(count > 40, "{count} probes were made");
}

#[tokio::test]
async fn a_list_takes_no_other_parameters_than_the_documents() {
    let service = Service::start().await;
    for query in [
        "nobodyKnowsIt=1",
        "firstName=Sarah",
        "email=a@b.example",
        "Limit=1",
        "",
        "=",
        "metadata=1",
        "metadata[k=1",
    ] {
        let reply = service.get(&format!("/customers?{query}")).send().await;
        if query.is_empty() {
            assert_eq!(reply.status, 200);
        } else {
            reply.is_problem(400, "invalid_query");
        }
    }
    for twice in
        ["limit=1&limit=1", "status=ACTIVE&status=SUSPENDED", "metadata[k]=1&metadata%5Bk%5D=1"]
    {
        service.get(&format!("/customers?{twice}")).send().await.is_problem(400, "invalid_query");
    }
}

#[test]
fn the_bounds_of_paths_and_headers_are_few_and_known() {
    for (path, method, parameter) in parameters() {
        if parameter["in"] == "query" {
            continue;
        }
        let name = parameter["name"].as_str().unwrap();
        let bounds: Vec<(&str, &str)> = resolve(&parameter["schema"])
            .as_object()
            .unwrap()
            .iter()
            .filter(|(keyword, _)| *keyword != "description" && *keyword != "type")
            .map(|(keyword, bound)| (keyword.as_str(), bound.as_str().unwrap_or("a number")))
            .collect();
        // Each is probed in `errors`, `history` and `idempotency`.
        let known: &[(&str, &str)] = match name {
            "id" => &[("format", "uuid")],
            "version" => &[("format", "int64"), ("minimum", "a number")],
            "Idempotency-Key" => {
                &[("minLength", "a number"), ("maxLength", "a number"), ("pattern", "^[ -~]+$")]
            }
            "X-Request-Id" | "code" | "file" | "If-Match" | "If-None-Match" => &[],
            _ => panic!("{method} {path}: no probe for {name}"),
        };
        assert_eq!(bounds, known, "{method} {path}: {name}");
    }
}
