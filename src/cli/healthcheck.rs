//! `healthcheck`: whether the running service is ready.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Fatal;
use crate::config::Healthcheck;

pub(super) async fn run(settings: &Healthcheck) -> Result<(), Fatal> {
    let address = reachable(settings.listen_addr);
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(settings.timeout)
        .build()
        .map_err(|error| Fatal::because(&error))?;
    let answer = client.get(format!("http://{address}/readyz")).send().await;
    let status = answer.map_err(|error| Fatal::because(&error))?.status();
    if status == reqwest::StatusCode::OK {
        Ok(())
    } else {
        Err(Fatal(format!("the service at {address} is not ready: {status}")))
    }
}

fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address
}
