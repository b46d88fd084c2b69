//! Connections that were made to a host directly, inside a network namespace whose routes lead here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ringfence_policy::{DomainName, Host};
use tokio::net::TcpStream;

use crate::code::Code;
use crate::connection::Connection;
use crate::dns::AddressMap;
use crate::event::Protocol;
use crate::http::{self, HTTP_PORT};
use crate::session::Target;
use crate::tunnel::reset;

/// Serves one accepted connection. Its local address says which host the client wanted: a synthetic address stands for a name,
/// the loopback address for `localhost`, and any other address (one that a literal rule gave a route) for itself.
pub(crate) async fn serve(connection: Arc<Connection>, client: TcpStream) {
    let target = match client.local_addr() {
        Ok(local) => target_of(&connection.session.names, local),
        Err(_) => return connection.end(Err(Code::ClientReset)),
    };
    let refuse = |code| {
        reset(&client);
        connection.end(Err(code));
    };
    let target = match target {
        Ok(target) => target,
        Err(local) => {
            let code = Code::AddressUnknown;
            connection.refused(Protocol::Transparent, &local.ip().to_string(), local.port(), code);
            return refuse(code);
        }
    };
    if target.port == HTTP_PORT {
        return http::serve(connection, client, Vec::new(), Some(target)).await;
    }
    match connection.open(Protocol::Transparent, &target).await {
        Ok(server) => connection.tunnel(Protocol::Transparent, &target, client, Vec::new(), server).await,
        Err(refusal) => refuse(refusal.code),
    }
}

fn target_of(names: &AddressMap, local: SocketAddr) -> Result<Target, SocketAddr> {
    let address = local.ip().to_canonical();
    let host = match address {
        IpAddr::V4(v4) if AddressMap::contains(v4) => Host::Name(names.name(v4).ok_or(local)?),
        // A host name is what rules for it are written with; both spellings are judged alike.
        address if address.is_loopback() => DomainName::parse("localhost").map_or(Host::from(address), Host::Name),
        address => Host::from(address),
    };
    Ok(Target { host, port: local.port() })
}
