//! What a newcomer needs next, printed when the development mode starts.

use std::net::SocketAddr;

/// The text; the curl line works as it stands.
pub(super) fn banner(address: SocketAddr, token: &str) -> String {
    format!(
        r#"
  Customer Accounts is listening on http://{address}
  Its docs:                         http://{address}/docs

  DEVELOPMENT MODE: the service signs its own tokens; anyone who can read its data folder can.
  Create a customer (the token is good for an hour; `customer-accounts token` prints another):

curl -i http://{address}/customers -H 'Content-Type: application/json' -H 'Authorization: Bearer {token}' -d '{{"type":"INDIVIDUAL","firstName":"Sarah","lastName":"Green"}}'

"#
    )
}
