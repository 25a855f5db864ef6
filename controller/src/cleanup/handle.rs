//! How others see clean-up: what the last run came to, and the way to ask for
//! one.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::report::{Report, Run};

/// What a person asks of the cleaner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Begin a run now; with `apply` it may act where the config only reports.
    Run {
        /// Whether it may act.
        apply: bool,
    },
    /// Change nothing from now on.
    Stop {
        /// Why.
        reason: String,
        /// Who asked.
        user: String,
    },
    /// Take that back.
    Start {
        /// Who asked.
        user: String,
    },
}

/// An order on its way, and the way back of its answer.
pub type Ordered = (Order, oneshot::Sender<Result<String, String>>);

/// How others see the cleaner: what the last run came to, and the way to it.
#[derive(Clone)]
pub struct Handle {
    shown: watch::Receiver<Option<Arc<Run>>>,
    orders: Option<mpsc::Sender<Ordered>>,
}

impl Handle {
    /// A handle of no cleaner: the config has no section `cleanup`.
    pub fn off() -> Self {
        Self {
            shown: watch::channel(None).1,
            orders: None,
        }
    }

    /// A handle that shows what the sender says, and the receiver of its
    /// orders.
    pub fn new(shown: watch::Receiver<Option<Arc<Run>>>) -> (Self, mpsc::Receiver<Ordered>) {
        let (orders, ordered) = mpsc::channel(8);
        let handle = Self {
            shown,
            orders: Some(orders),
        };
        (handle, ordered)
    }

    /// What the last run came to.
    pub fn report(&self) -> Option<Report> {
        self.last().map(|run| run.report())
    }

    /// The last run, where there was one since the start.
    pub fn last(&self) -> Option<Arc<Run>> {
        self.shown.borrow().clone()
    }

    /// To be told of runs.
    pub fn runs(&self) -> watch::Receiver<Option<Arc<Run>>> {
        self.shown.clone()
    }

    /// Whether there is a cleaner at all.
    pub fn is_on(&self) -> bool {
        self.orders.is_some()
    }

    /// Passes an order on and waits for its sentence.
    ///
    /// # Errors
    ///
    /// A sentence that says why it is not carried out.
    pub async fn order(&self, order: Order) -> Result<String, String> {
        let orders = self.orders.as_ref().ok_or_else(not_configured)?;
        let (back, answer) = oneshot::channel();
        orders.try_send((order, back)).map_err(|_| {
            "clean-up has too many orders waiting, try again in a moment".to_owned()
        })?;
        answer
            .await
            .unwrap_or_else(|_| Err("the daemon is stopping".to_owned()))
    }
}

/// What is said where there is no section `cleanup`.
pub fn not_configured() -> String {
    "clean-up is not configured: add a section `cleanup` to the config, `{}` is one that only reports"
        .to_owned()
}
