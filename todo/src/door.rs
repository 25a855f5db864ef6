//! A listening socket that can be closed while its server goes on.
//!
//! salvo stops accepting when it is asked to stop, but keeps the socket open
//! until it has left: new connections would hang in the kernel's queue and be
//! cut at the end. This acceptor closes the socket first. Whoever is in the
//! queue by then is let in, everyone later is refused at once and can turn to
//! another machine.

use std::io;

use salvo::conn::tcp::TcpAcceptor;
use salvo::conn::{Accepted, Acceptor, Holding};
use salvo::fuse::ArcFusePolicy;
use tokio_util::sync::CancellationToken;

/// Accepts connections until it is closed.
#[derive(Debug)]
pub struct Door {
    acceptor: Option<TcpAcceptor>,
    holdings: Vec<Holding>,
    latch: Latch,
}

/// Closes a door from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Latch {
    asked: CancellationToken,
    closed: CancellationToken,
}

impl Door {
    /// A door that is open.
    pub fn new(acceptor: TcpAcceptor) -> Self {
        Self {
            holdings: acceptor.holdings().to_vec(),
            acceptor: Some(acceptor),
            latch: Latch::default(),
        }
    }

    /// What closes it.
    pub fn latch(&self) -> Latch {
        self.latch.clone()
    }
}

impl Latch {
    /// Closes the door and waits until it is.
    pub async fn close(&self) {
        self.asked.cancel();
        self.closed.cancelled().await;
    }
}

impl Acceptor for Door {
    type Coupler = <TcpAcceptor as Acceptor>::Coupler;
    type Stream = <TcpAcceptor as Acceptor>::Stream;

    fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    async fn accept(
        &mut self,
        fuse_policy: Option<ArcFusePolicy>,
    ) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        if let Some(acceptor) = &mut self.acceptor {
            tokio::select! {
                // First whoever waits already.
                biased;
                accepted = acceptor.accept(fuse_policy) => return accepted,
                () = self.latch.asked.cancelled() => {}
            }
        }
        // Dropping it closes the socket.
        self.acceptor = None;
        self.latch.closed.cancel();
        std::future::pending().await
    }
}
