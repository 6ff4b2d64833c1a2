//! The pages for people: the contract's, and one for each problem. How they look and what they do in a
//! browser is `ci/check-docs-page`'s.

use customer_accounts::http::problem::ProblemCode;
use serde_json::{Value, json};

use crate::support::Service;
use crate::support::contract::DOCUMENT;

#[tokio::test]
async fn every_problem_has_a_page_that_says_what_it_means_and_what_to_do() {
    let service = Service::start().await;
    let list = service.get("/docs/problems").no_token().send().await;
    assert_eq!(list.text.matches("<li>").count(), ProblemCode::ALL.len());
    for code in ProblemCode::ALL {
        let path = format!("/docs/problems/{}", code.as_str());
        assert!(list.text.contains(&format!("href=\"{path}\"")), "{path} is not in the list");
        let page = service.get(&path).no_token().send().await;
        assert_eq!(page.status, 200, "{path}");
        let status = format!("status {}", code.status().as_u16());
        for text in [code.title(), code.as_str(), &status, code.meaning(), code.remedy()] {
            assert!(!text.is_empty() && page.text.contains(text), "{path} does not say {text:?}");
        }
    }
}

#[tokio::test]
async fn a_code_that_there_is_not_has_no_page() {
    let service = Service::start().await;
    for code in ["", "no_such_code", "Not_Found", "not_found.html", "%3Cscript%3E"] {
        let reply = service.get(&format!("/docs/problems/{code}")).no_token().send().await;
        reply.is_problem(404, "not_found");
    }
}

#[tokio::test]
async fn no_page_may_ask_for_anything_outside() {
    let service = Service::start().await;
    for path in ["/", "/docs", "/docs/problems", "/docs/problems/erased", "/docs/swagger-ui.css"] {
        let page = service.get(path).no_token().send().await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{path}: {policy}");
        for source in policy.split(';').flat_map(|directive| directive.split_whitespace().skip(1)) {
            assert!(
                ["'none'", "'self'", "'unsafe-inline'", "data:"].contains(&source),
                "{path}: {source}"
            );
        }
        let scripts =
            policy.split(';').find(|directive| directive.trim().starts_with("script-src"));
        assert_eq!(scripts.map(str::trim), Some("script-src 'self'"), "{path}");
    }
}

#[tokio::test]
async fn the_page_fills_in_nothing_that_a_caller_may_leave_out() {
    let service = Service::start().await;
    let mut shown = service.get("/docs/openapi.json").no_token().send().await.json();
    let mut contract = DOCUMENT.clone();
    let parameters = "/components/parameters";
    let shown_parameters = shown.pointer_mut(parameters).unwrap().take();
    let of_contract = contract.pointer_mut(parameters).unwrap().take();
    assert_eq!(shown, contract, "all but the parameters is the contract");
    let names = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&shown_parameters), names(&of_contract));
    let mut optional = 0;
    for (name, parameter) in of_contract.as_object().unwrap() {
        let mut shown = shown_parameters[name].clone();
        if parameter["required"] != true {
            optional += 1;
            // An object is given an empty one: without, Swagger UI makes one up.
            let empty = parameter["example"].is_object().then(|| json!({}));
            assert_eq!(shown.get("example"), empty.as_ref(), "{name} would be filled in");
            let description = shown["description"].as_str().unwrap();
            let (text, example) = description.split_once("\n\nExample: `").unwrap();
            assert_eq!(text, parameter["description"].as_str().unwrap().trim_end());
            let example = example.strip_suffix('`').unwrap();
            let read = serde_json::from_str(example).unwrap_or_else(|_| json!(example));
            let same = [&read, &json!(example)].contains(&&parameter["example"]);
            assert!(same, "{name}: {example}");
            shown["example"] = parameter["example"].clone();
            shown["description"] = parameter["description"].clone();
        }
        assert_eq!(shown, *parameter, "{name}");
    }
    assert!(optional > 10, "{optional} optional parameters were found");
}

/// [`the_page_fills_in_nothing_that_a_caller_may_leave_out`] looks where all parameters are.
#[test]
fn every_parameter_is_a_shared_one_whose_schema_has_no_example() {
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let reference = parameter["$ref"].as_str().unwrap_or_default();
                let name = reference.strip_prefix("#/components/parameters/");
                assert!(name.is_some(), "{method} {path}: {parameter}");
            }
        }
    }
    for (name, parameter) in DOCUMENT["components"]["parameters"].as_object().unwrap() {
        let schema = match parameter["schema"]["$ref"].as_str() {
            Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap(),
            None => &parameter["schema"],
        };
        for at in [parameter, schema] {
            assert_eq!(at.get("examples"), None, "{name}");
        }
        assert!(parameter["required"] == true || schema.get("example").is_none(), "{name}");
    }
}
