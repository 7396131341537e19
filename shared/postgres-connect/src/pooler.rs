//! Tells a pooler from a server.
//!
//! A server gives each connection the number of the process that serves it, and that process says the same number of itself. A
//! pooler gives numbers of its own. So the two differ exactly where the sessions are not ours, whatever mode the pooler is in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, SimpleQueryMessage};

/// Bytes of a request to cancel: length, code, number, secret.
const CANCEL_REQUEST: usize = 16;
/// Bytes of the wish for TLS that may come before it.
const TLS_REQUEST: usize = 8;

/// Asks the other end of a fresh connection which process serves it, and so whether it is a pooler.
///
/// # Errors
/// When the connection breaks.
pub async fn is_pooled(client: &Client) -> Result<bool, tokio_postgres::Error> {
    let told = number_told(client).await;
    let answer = client.simple_query("select pg_backend_pid()").await?;
    let served_by = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse::<i32>().ok(),
        _ => None,
    });
    Ok(told.is_none() || told != served_by)
}

/// The driver keeps the number to itself, but writes it into a request to cancel: here into one that goes nowhere.
async fn number_told(client: &Client) -> Option<i32> {
    let ((ours, theirs), token) = (tokio::io::duplex(64), client.cancel_token());
    let (request, asked) = tokio::join!(read_request(ours), token.cancel_query_raw(theirs, InMemory));
    asked.ok()?;
    let number: [u8; 4] = request.ok()?.get(8..12)?.try_into().ok()?;
    Some(i32::from_be_bytes(number))
}

async fn read_request(mut stream: DuplexStream) -> io::Result<Vec<u8>> {
    let mut request = vec![0; TLS_REQUEST];
    stream.read_exact(&mut request).await?;
    // Its length comes first, and tells the two apart.
    if request.get(3).copied().map(usize::from) == Some(TLS_REQUEST) {
        stream.write_all(b"S").await?;
        stream.read_exact(&mut request).await?;
    }
    request.resize(CANCEL_REQUEST, 0);
    if let Some(rest) = request.get_mut(TLS_REQUEST..) {
        stream.read_exact(rest).await?;
    }
    Ok(request)
}

/// Where the driver wants TLS before it says anything: there is nobody to listen.
struct InMemory;

impl TlsConnect<DuplexStream> for InMemory {
    type Stream = Plain;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Plain>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        std::future::ready(Ok(Plain(stream)))
    }
}

struct Plain(DuplexStream);

impl TlsStream for Plain {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Plain {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
