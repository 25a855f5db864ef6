//! Flags and environment, first as typed, then as meant.
//!
//! Every option has one name in both forms: `--drain-time` is
//! `TODO_DRAIN_TIME`. All problems are told at once, one sentence each. The
//! database URL is a secret: it can come from a file, and no sentence about it
//! quotes it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use ipnet::IpNet;
use salvo::http::header::HeaderValue;

use crate::app::Settings;
use crate::proxy::TrustedProxies;
use crate::release::Release;
use crate::serve::ServeSettings;

/// The sample app that amid rolls: a todo list behind a load balancer.
#[derive(Debug, Parser)]
#[command(name = "todo", version, about, max_term_width = 100)]
pub struct Args {
    /// Address to serve on
    #[arg(long, env = "TODO_LISTEN", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Address to serve `/metrics` on
    #[arg(long, env = "TODO_METRICS_LISTEN", default_value = "127.0.0.1:8081")]
    metrics_listen: String,
    /// Where the todos are: `mongodb://…`, `mongodb+srv://…`, or `memory:` for a try
    #[arg(long, env = "TODO_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// File that holds the database URL, instead of the URL itself
    #[arg(long, env = "TODO_DATABASE_URL_FILE")]
    database_url_file: Option<PathBuf>,
    /// Name of the database
    #[arg(long, env = "TODO_DATABASE_NAME", default_value = "todo")]
    database_name: String,
    /// Most connections to each database server
    #[arg(long, env = "TODO_DATABASE_POOL", default_value = "16")]
    database_pool: String,
    /// Id of the image that this machine was started from, shown to everybody
    #[arg(long, env = "TODO_AMI", default_value = "unknown")]
    ami: String,
    /// Version to show instead of the program's own, such as `1.42.0+9f3c2e1`
    #[arg(long, env = "TODO_RELEASE_VERSION", default_value = env!("CARGO_PKG_VERSION"))]
    release_version: String,
    /// Networks whose `X-Forwarded-…` headers are believed, such as `10.0.0.0/8,fd00::/8`
    #[arg(long, env = "TODO_TRUSTED_PROXIES", default_value = "")]
    trusted_proxies: String,
    /// Origins that browsers may call the API from, such as `https://app.example`; `*` for any
    #[arg(long, env = "TODO_CORS_ORIGINS", default_value = "*")]
    cors_origins: String,
    /// Offer `DELETE /todos`, which removes everything: `true` or `false`
    #[arg(long, env = "TODO_ALLOW_DELETE_ALL", default_value = "false",
        default_missing_value = "true", num_args = 0..=1, require_equals = true)]
    allow_delete_all: String,
    /// Longest list to answer at once, in todos
    #[arg(long, env = "TODO_LIST_CAP", default_value = "1000")]
    list_cap: String,
    /// How long a request may take
    #[arg(long, env = "TODO_REQUEST_TIMEOUT", default_value = "10s")]
    request_timeout: String,
    /// How many requests may use the database at once; more are refused
    #[arg(long, env = "TODO_MAX_CONCURRENT", default_value = "512")]
    max_concurrent: String,
    /// How many connections may be open at once; more wait
    #[arg(long, env = "TODO_MAX_CONNECTIONS", default_value = "1024")]
    max_connections: String,
    /// How long a connection may be idle; longer than the load balancer's own limit
    #[arg(long, env = "TODO_IDLE_TIMEOUT", default_value = "75s")]
    idle_timeout: String,
    /// How long to go on serving after SIGTERM, until the load balancer has noticed
    #[arg(long, env = "TODO_DRAIN_TIME", default_value = "15s")]
    drain_time: String,
    /// How long requests in flight may take after that
    #[arg(long, env = "TODO_STOP_TIMEOUT", default_value = "10s")]
    stop_timeout: String,
    /// What to log: `error`, `warn`, `info`, `debug`, or a filter such as `todo=debug,info`
    #[arg(long, env = "TODO_LOG", default_value = "info")]
    log: String,
}

/// A text that never shows up in logs or errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What the options mean.
#[derive(Debug)]
pub struct Config {
    /// Where to serve.
    pub listen: SocketAddr,
    /// Where to serve metrics.
    pub metrics_listen: SocketAddr,
    /// Where the todos are; `None` for memory.
    pub database_url: Option<Secret>,
    /// The database's name.
    pub database_name: String,
    /// The most connections to each database server.
    pub database_pool: u32,
    /// How requests are answered.
    pub settings: Settings,
    /// How connections are held.
    pub serve: ServeSettings,
    /// What to log.
    pub log: String,
}

impl Config {
    /// Finds out what the options mean, or everything that is wrong with them.
    pub fn new(args: Args) -> Result<Self, Vec<String>> {
        let Args {
            listen,
            metrics_listen,
            database_url,
            database_url_file,
            database_name,
            database_pool,
            ami,
            release_version,
            trusted_proxies,
            cors_origins,
            allow_delete_all,
            list_cap,
            request_timeout,
            max_concurrent,
            max_connections,
            idle_timeout,
            drain_time,
            stop_timeout,
            log,
        } = args;
        let mut reader = Reader::default();
        let r = &mut reader;
        let config = Self {
            listen: r.address("listen", &listen),
            metrics_listen: r.address("metrics-listen", &metrics_listen),
            database_url: r.database_url(database_url, database_url_file.as_deref()),
            database_name: r.database_name(database_name),
            database_pool: u32::try_from(r.number("database-pool", &database_pool, 1..=1_000))
                .unwrap_or(1),
            settings: Settings {
                list_cap: r.number("list-cap", &list_cap, 1..=10_000),
                request_timeout: r.duration("request-timeout", &request_timeout),
                max_concurrent: r.number("max-concurrent", &max_concurrent, 1..=100_000),
                allow_delete_all: r.flag("allow-delete-all", &allow_delete_all),
                proxies: r.networks("trusted-proxies", &trusted_proxies),
                cors_origins: r.origins("cors-origins", &cors_origins),
                release: Release {
                    ami: r.label("ami", ami),
                    version: r.label("release-version", release_version),
                },
            },
            serve: ServeSettings {
                max_connections: r.number("max-connections", &max_connections, 1..=100_000),
                idle_timeout: r.duration("idle-timeout", &idle_timeout),
                drain: r.duration("drain-time", &drain_time),
                stop_timeout: r.duration("stop-timeout", &stop_timeout),
            },
            log: r.filter("log", log),
        };
        if reader.problems.is_empty() {
            Ok(config)
        } else {
            Err(reader.problems)
        }
    }
}

/// Reads values and collects what is wrong with them.
#[derive(Default)]
struct Reader {
    problems: Vec<String>,
}

impl Reader {
    fn wrong<T>(&mut self, flag: &str, value: &str, rule: &str, instead: T) -> T {
        self.problems
            .push(format!("`--{flag}` must be {rule}, not `{value}`"));
        instead
    }

    fn address(&mut self, flag: &str, value: &str) -> SocketAddr {
        let none = SocketAddr::from(([127, 0, 0, 1], 0));
        value.parse().unwrap_or_else(|_| {
            self.wrong(flag, value, "an address such as `127.0.0.1:8080`", none)
        })
    }

    fn number(&mut self, flag: &str, value: &str, range: std::ops::RangeInclusive<usize>) -> usize {
        match value.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let rule = format!("a whole number from {} to {}", range.start(), range.end());
                self.wrong(flag, value, &rule, *range.start())
            }
        }
    }

    fn duration(&mut self, flag: &str, value: &str) -> Duration {
        match parse_duration(value) {
            Some(duration) => duration,
            None => {
                let rule = "a time such as `90s`, `500ms` or `1m30s`, at most an hour";
                self.wrong(flag, value, rule, Duration::ZERO)
            }
        }
    }

    fn flag(&mut self, flag: &str, value: &str) -> bool {
        match value {
            "true" | "1" => true,
            "false" | "0" | "" => false,
            _ => self.wrong(flag, value, "`true` or `false`", false),
        }
    }

    fn networks(&mut self, flag: &str, value: &str) -> TrustedProxies {
        let networks = list(value).filter_map(|each| {
            let one = || each.parse::<IpAddr>().map(IpNet::from).ok();
            let network = each.parse::<IpNet>().ok().or_else(one);
            if network.is_none() {
                self.wrong(flag, each, "networks such as `10.0.0.0/8`", ());
            }
            network
        });
        TrustedProxies::new(networks.collect())
    }

    fn origins(&mut self, flag: &str, value: &str) -> Vec<HeaderValue> {
        if value.trim() == "*" {
            return Vec::new();
        }
        let origins: Vec<_> = list(value)
            .filter_map(|each| {
                let parsed = url::Url::parse(each).ok();
                let same = parsed.is_some_and(|url| url.origin().ascii_serialization() == each);
                match HeaderValue::from_str(each) {
                    Ok(origin) if same => Some(origin),
                    _ => self.wrong(flag, each, "origins such as `https://app.example`", None),
                }
            })
            .collect();
        if origins.is_empty() && self.problems.is_empty() {
            return self.wrong(flag, value, "`*` or a list of origins", origins);
        }
        origins
    }

    fn label(&mut self, flag: &str, value: String) -> String {
        let fine = (1..=100).contains(&value.len())
            && value.bytes().all(|c| c.is_ascii_graphic())
            && !value.contains(['"', '\\', '<', '>', '&']);
        if fine {
            value
        } else {
            self.wrong(flag, &value, "1 to 100 plain characters", String::new())
        }
    }

    fn filter(&mut self, flag: &str, value: String) -> String {
        if value.parse::<tracing_subscriber::EnvFilter>().is_ok() {
            value
        } else {
            self.wrong(flag, &value, "a level such as `info`", String::new())
        }
    }

    fn database_name(&mut self, value: String) -> String {
        let fine = (1..=63).contains(&value.len())
            && value
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-');
        if fine {
            value
        } else {
            let rule = "1 to 63 letters, digits, `-` or `_`";
            self.wrong("database-name", &value, rule, String::new())
        }
    }

    fn database_url(&mut self, url: Option<String>, file: Option<&Path>) -> Option<Secret> {
        // An empty variable in an environment file means the same as none.
        let url = url.filter(|url| !url.is_empty());
        let file = file.filter(|file| !file.as_os_str().is_empty());
        let url = match (url, file) {
            (Some(_), Some(_)) => {
                let both = "Give either `--database-url` or `--database-url-file`, not both";
                self.problems.push(both.into());
                return None;
            }
            (Some(url), None) => url,
            (None, Some(file)) => match std::fs::read_to_string(file) {
                Ok(text) => text.trim().to_owned(),
                Err(error) => {
                    self.problems.push(format!(
                        "Failed to read `--database-url-file` {}: {error}",
                        file.display()
                    ));
                    return None;
                }
            },
            (None, None) => {
                self.problems.push(
                    "No database is given: set `--database-url` (or `TODO_DATABASE_URL`), such as \
                     `mongodb://127.0.0.1:27017`, or `memory:` for a try"
                        .into(),
                );
                return None;
            }
        };
        if url == "memory:" {
            return None;
        }
        if !url.starts_with("mongodb://") && !url.starts_with("mongodb+srv://") {
            self.problems.push(
                "The database URL must start with `mongodb://` or `mongodb+srv://`, or be `memory:`"
                    .into(),
            );
        }
        Some(Secret(url))
    }
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|each| !each.is_empty())
}

/// Reads `1h30m`, `90s` or `500ms`; at most an hour.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        total += Duration::from_millis(number.checked_mul(milliseconds)?);
        rest = after;
        if total > Duration::from_secs(3_600) {
            return None;
        }
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests;
