//! Reading a list page by page.

use serde_json::Value;

use super::{Reply, Service};

/// A page that must be given.
pub async fn page(service: &Service, path: &str) -> Reply {
    let reply = service.get(path).send().await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    reply
}

/// The target of the page's `Link: rel="next"`, where it has one. The link and the cursor in the
/// body are there together or not at all, and mean the same place.
pub fn next(page: &Reply) -> Option<String> {
    let cursor = page.json().get("nextCursor").map(|cursor| cursor.as_str().unwrap().to_owned());
    let Some(link) = page.headers.get("link") else {
        assert_eq!(cursor, None, "a cursor has its link");
        return None;
    };
    let link = link.to_str().unwrap();
    let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    let target = target.unwrap_or_else(|| panic!("{link} is a link"));
    let query = target.split_once('?').unwrap().1;
    let linked = query.split('&').find_map(|pair| pair.strip_prefix("cursor="));
    assert_eq!(linked, cursor.as_deref(), "the link has the body's cursor");
    Some(target.to_owned())
}

/// The items of a page.
pub fn items(page: &Reply) -> Vec<Value> {
    page.json()["data"].as_array().unwrap().clone()
}

/// One member of each item of a page.
pub fn members(page: &Reply, member: &str) -> Vec<String> {
    items(page).iter().map(|item| item[member].as_str().unwrap().to_owned()).collect()
}

/// All items from this page on, by its links.
pub async fn follow(service: &Service, path: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut at = Some(path.to_owned());
    while let Some(path) = at {
        let page = page(service, &path).await;
        at = next(&page);
        assert!(at.is_none() || !items(&page).is_empty(), "only the last page may be empty");
        all.extend(items(&page));
    }
    all
}
