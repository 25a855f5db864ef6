//! Reads a list page by page to its end, or says that it could not.
//!
//! For lists where half an answer would be taken for "nobody needs it". A list
//! ends early, and says so, at an error, at a token that came before, and at a
//! cap on pages and items. Being asked to slow down is not an error yet: the
//! same page is asked for again, later each time.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use aws_sdk_autoscaling::error::{ProvideErrorMetadata, SdkError};

use amid_core::retention::Listing;

use super::{Aws, MAX_PAGES, Outcome, code, outcome};

/// The most items of one list.
const MAX_ITEMS: usize = 2_000_000;
/// How often a page is asked for again when AWS wants fewer requests.
const PATIENCE: u32 = 5;
/// The first wait before that; each one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 500 });

/// One page of a list.
pub(super) struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Leads to the next one.
    pub next: Option<String>,
    /// Something on the page cannot be understood: the list is not complete.
    pub strange: Option<String>,
}

impl<T> Page<T> {
    /// A page without anything strange on it.
    pub fn of(items: Vec<T>, next: Option<String>) -> Self {
        Self {
            items,
            next,
            strange: None,
        }
    }
}

impl Aws {
    /// Reads a list: `ask` sends the request for one page, `read` takes its
    /// answer apart.
    pub(super) async fn listing<T, O, E, R, Fut>(
        &self,
        service: &'static str,
        operation: &'static str,
        ask: impl Fn(Option<String>) -> Fut,
        mut read: impl FnMut(O) -> Page<T>,
    ) -> Listing<T>
    where
        Fut: Future<Output = Result<O, SdkError<E, R>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: fmt::Debug + Send + Sync + 'static,
    {
        let mut items = Vec::new();
        let mut strange = None;
        let mut token: Option<String> = None;
        let mut seen = HashSet::new();
        for _ in 0..MAX_PAGES {
            let page = match self
                .patiently(service, operation, || ask(token.clone()))
                .await
            {
                Ok(answer) => read(answer),
                Err(error) => return Listing::incomplete(items, format!("{error:#}")),
            };
            items.extend(page.items);
            strange = strange.or(page.strange);
            if items.len() > MAX_ITEMS {
                let why = format!("{operation} has more than {MAX_ITEMS} items");
                return Listing::incomplete(items, why);
            }
            let Some(next) = page.next.filter(|next| !next.is_empty()) else {
                return match strange {
                    Some(why) => Listing::incomplete(items, why),
                    None => Listing::complete(items),
                };
            };
            if !seen.insert(next.clone()) {
                let why = format!("{operation} repeats a page");
                return Listing::incomplete(items, why);
            }
            token = Some(next);
        }
        let why = format!("{operation} has more than {MAX_PAGES} pages");
        Listing::incomplete(items, why)
    }

    /// Sends one request, and again when AWS wants fewer of them.
    pub(super) async fn patiently<O, E, R, Fut>(
        &self,
        service: &'static str,
        operation: &'static str,
        send: impl Fn() -> Fut,
    ) -> anyhow::Result<O>
    where
        Fut: Future<Output = Result<O, SdkError<E, R>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: fmt::Debug + Send + Sync + 'static,
    {
        let mut wait = FIRST_WAIT;
        let mut tries = 0;
        loop {
            match self.counted(service, operation, send().await) {
                Err(error)
                    if tries < PATIENCE
                        && outcome(code(&error).unwrap_or_default()) == Outcome::Throttled =>
                {
                    tries += 1;
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                other => return other,
            }
        }
    }
}
