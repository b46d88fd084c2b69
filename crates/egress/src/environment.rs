//! Proxy settings for tools that know about proxies.

use std::net::SocketAddr;

/// Where the proxy of a run is reached from inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Its listening address.
    pub address: SocketAddr,
    /// Whether the loopback addresses inside are the run's own. Then servers that the command starts, and those of `localhost`
    /// rules, are there, and tools must go to them directly. Where the loopback is shared with the host, everything goes
    /// through the proxy.
    pub own_loopback: bool,
}

/// The variables that send proxy-aware tools to the proxy, only inside the run.
///
/// Both cases of the common ones, because curl reads only the small `http_proxy` and others only the large one. Then what single
/// tools need: Git (whose configuration would win over the common variables), npm, Yarn, pip, Cargo, Java and Node.
pub fn proxy_environment(endpoint: &Endpoint) -> Vec<(String, String)> {
    let address = endpoint.address;
    let url = format!("http://{address}");
    let direct = if endpoint.own_loopback { "localhost,127.0.0.1,::1" } else { "" };
    let mut variables = Vec::new();
    let mut set = |name: &str, value: &str| variables.push((name.to_owned(), value.to_owned()));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        set(name, &url);
        set(&name.to_ascii_lowercase(), &url);
    }
    for name in ["NO_PROXY", "no_proxy", "npm_config_noproxy"] {
        set(name, direct);
    }
    for name in [
        "npm_config_proxy",
        "npm_config_https_proxy",
        "YARN_HTTP_PROXY",
        "YARN_HTTPS_PROXY",
        "PIP_PROXY",
        "CARGO_HTTP_PROXY",
    ] {
        set(name, &url);
    }
    set("NODE_USE_ENV_PROXY", "1");
    set("GIT_CONFIG_COUNT", "1");
    set("GIT_CONFIG_KEY_0", "http.proxy");
    set("GIT_CONFIG_VALUE_0", &url);
    set("JAVA_TOOL_OPTIONS", &java_options(endpoint));
    variables
}

/// Java reads no proxy variable. `nonProxyHosts` has a default that must be replaced either way.
fn java_options(endpoint: &Endpoint) -> String {
    let (host, port) = (endpoint.address.ip(), endpoint.address.port());
    let direct = if endpoint.own_loopback { "localhost|127.*|[::1]" } else { "" };
    format!(
        "-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} -Dhttps.proxyPort={port} \
         -Dhttp.nonProxyHosts={direct}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(endpoint: Endpoint, name: &str) -> String {
        let variables = proxy_environment(&endpoint);
        let mut found = variables.iter().filter(|(variable, _)| variable == name);
        let value = found.next().unwrap().1.clone();
        assert!(found.next().is_none(), "{name} is set twice");
        value
    }

    #[test]
    fn tools_go_around_the_proxy_only_where_the_loopback_is_the_runs_own() {
        let address = "127.0.0.1:3128".parse().unwrap();
        let shared = Endpoint { address, own_loopback: false };
        let own = Endpoint { address, own_loopback: true };
        assert_eq!(value(shared, "NO_PROXY"), "");
        assert_eq!(value(shared, "no_proxy"), "");
        assert!(value(shared, "JAVA_TOOL_OPTIONS").ends_with("-Dhttp.nonProxyHosts="));
        assert_eq!(value(own, "NO_PROXY"), "localhost,127.0.0.1,::1");
        for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            assert_eq!(value(shared, name), "http://127.0.0.1:3128");
        }
    }
}
