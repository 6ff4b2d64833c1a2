//! The keyring and the database belong together: with another one no secret would open, histories
//! would look forged, and keyed creates would be done twice.

use customer_accounts::store::StoreError;
use customer_accounts::vault::keyring::Keyring;
use serde_json::json;

use crate::support::bodies::minimal;
use crate::support::{Service, store};

#[tokio::test]
async fn a_database_is_served_with_the_keyring_that_wrote_it() {
    let service = Service::start().await;
    let other = Keyring::generate().unwrap();
    let url = service.database.url();
    assert!(store(url, &other).is_ready().await.unwrap(), "an empty one takes any");

    let customer = service.create(&minimal()).await;
    service.patch(&customer.path, &json!({ "middleName": "Ann" })).send().await;
    assert!(store(url, &service.keyring).is_ready().await.unwrap());
    let refused = store(url, &other);
    for _ in 0..2 {
        assert!(matches!(refused.is_ready().await, Err(StoreError::ForeignKeyring)));
    }
}
