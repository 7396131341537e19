//! The driver's half of a connection, moved on by whoever waits for it: a read, its socket and its decoder are one task, and no
//! row travels between threads.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};

use postgres_connect::with_causes;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

type Driver = tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// The socket of a connection. Closed with this value, and by itself when the server hangs up.
pub(super) struct ConnectionDriver(Option<Driver>);

impl ConnectionDriver {
    pub(super) const fn new(driver: Driver) -> Self {
        Self(Some(driver))
    }

    /// Does work with the connection's client, and sends and receives for it meanwhile.
    pub(super) async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            self.advance(context);
            // Whatever has come is for the work, most likely.
            work.as_mut().poll(context)
        })
        .await
    }

    /// Sends and receives what can be without waiting. A driver that ended is dropped: that is how its client hears of it.
    fn advance(&mut self, context: &mut Context<'_>) {
        let Some(driver) = &mut self.0 else { return };
        loop {
            match driver.poll_message(context) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(AsyncMessage::Notice(notice)))) => {
                    tracing::debug!(severity = notice.severity(), "a source sent a notice");
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(ended) => {
                    if let Some(Err(error)) = ended {
                        tracing::debug!(error = %with_causes(&error), "a connection to a source ended");
                    }
                    self.0 = None;
                    return;
                }
            }
        }
    }
}
