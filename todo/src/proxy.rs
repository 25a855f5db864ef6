//! Who asks, and under which address they reached us.
//!
//! Behind a load balancer both are told by headers that anybody could write.
//! They are believed only when the connection comes from a configured network;
//! everyone else gets what the connection and the `Host` header say.

use std::net::IpAddr;

use ipnet::IpNet;
use salvo::http::HeaderMap;
use salvo::http::header::{HOST, HeaderName};
use salvo::http::uri::Authority;
use salvo::prelude::*;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The networks whose forwarded headers are believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// What is known of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client's address, as far as it can be believed.
    pub client: Option<IpAddr>,
    /// Whether the client speaks https to whatever stands before us.
    pub secure: bool,
    /// Scheme and authority for absolute addresses, such as
    /// `https://todo.example`, without a slash at the end.
    pub base: String,
}

impl TrustedProxies {
    /// Trusts these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Looks at a request.
    pub fn peer(&self, request: &Request) -> Peer {
        let remote = ip(request.remote_addr());
        let fallback = match request.local_addr() {
            salvo::conn::SocketAddr::IPv4(address) => address.to_string(),
            salvo::conn::SocketAddr::IPv6(address) => address.to_string(),
            _ => "localhost".into(),
        };
        self.look(
            remote,
            request.headers(),
            request.uri().authority(),
            &fallback,
        )
    }

    /// The pure part: `remote` is the other end of the connection, `target`
    /// the authority of an absolute request line, `fallback` our own address
    /// for clients that send no `Host`.
    pub fn look(
        &self,
        remote: Option<IpAddr>,
        headers: &HeaderMap,
        target: Option<&Authority>,
        fallback: &str,
    ) -> Peer {
        let trusted = remote.is_some_and(|address| self.trusts(address));
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.and_then(authority);
        // An absolute request line beats `Host` (RFC 9112, 3.2.2).
        let mut host = target.and_then(|host| authority(host.as_str())).or(host);
        let mut secure = false;
        let mut client = remote;
        if trusted {
            secure = last(headers, &FORWARDED_PROTO).is_some_and(|scheme| scheme == "https");
            host = last(headers, &FORWARDED_HOST).and_then(authority).or(host);
            client = self.client(headers).or(remote);
        }
        let scheme = if secure { "https" } else { "http" };
        let host = host.unwrap_or(fallback);
        Peer {
            client,
            secure,
            base: format!("{scheme}://{host}"),
        }
    }

    /// The nearest address that is not one of our own proxies: what stands
    /// further left in the header was written by whoever that is.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut nearest = None;
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            for hop in value.to_str().ok()?.rsplit(',') {
                let address: IpAddr = hop.trim().parse().ok()?;
                nearest = Some(address);
                if !self.trusts(address) {
                    return nearest;
                }
            }
        }
        nearest
    }
}

fn ip(address: &salvo::conn::SocketAddr) -> Option<IpAddr> {
    match address {
        salvo::conn::SocketAddr::IPv4(address) => Some(IpAddr::V4(*address.ip())),
        salvo::conn::SocketAddr::IPv6(address) => Some(address.ip().to_canonical()),
        _ => None,
    }
}

/// The value that the nearest proxy wrote: it appends, if it does not replace.
fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim)
}

/// A host with an optional port, and nothing else.
fn authority(text: &str) -> Option<&str> {
    let parsed: Authority = text.parse().ok()?;
    let plain = !text.contains('@') && !parsed.host().is_empty() && text.len() <= 255;
    plain.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().expect("a header name");
            headers.append(name, value.parse().expect("a header value"));
        }
        headers
    }

    fn look(remote: &str, pairs: &[(&str, &str)]) -> Peer {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().expect("a network")]);
        proxies.look(remote.parse().ok(), &headers(pairs), None, "127.0.0.1:80")
    }

    const FORWARDED: &[(&str, &str)] = &[
        ("host", "inside:8080"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "todo.example"),
        ("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.7"),
    ];

    #[test]
    fn forwarded_headers_are_believed_from_a_trusted_network() {
        let peer = look("10.1.2.3", FORWARDED);
        assert_eq!(peer.base, "https://todo.example");
        assert!(peer.secure);
        assert_eq!(peer.client, "203.0.113.9".parse().ok());
    }

    #[test]
    fn forwarded_headers_are_ignored_from_anywhere_else() {
        let peer = look("203.0.113.9", FORWARDED);
        assert_eq!(peer.base, "http://inside:8080");
        assert!(!peer.secure);
        assert_eq!(peer.client, "203.0.113.9".parse().ok());
    }

    #[test]
    fn an_address_of_an_ipv4_client_on_an_ipv6_socket_is_still_trusted() {
        assert_eq!(
            look("::ffff:10.1.2.3", FORWARDED).base,
            "https://todo.example"
        );
    }

    #[test]
    fn a_host_that_is_none_falls_back_to_our_own_address() {
        for host in ["", "a b", "user@evil", "<script>", "http://x/"] {
            let peer = look("10.1.2.3", &[("host", host), ("x-forwarded-host", host)]);
            assert_eq!(peer.base, "http://127.0.0.1:80", "{host}");
        }
    }

    #[test]
    fn only_the_word_of_the_nearest_proxy_counts() {
        let peer = look("10.1.2.3", &[("x-forwarded-proto", "https, http")]);
        assert!(!peer.secure);
        let peer = look("10.1.2.3", &[("x-forwarded-for", "nonsense, 10.0.0.1")]);
        assert_eq!(peer.client, "10.1.2.3".parse().ok());
    }
}
