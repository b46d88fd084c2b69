//! Counts what moves on a connection, and ends connections on which nothing does.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::code::Code;
use crate::limits::Limits;

/// Bytes each way.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// From the client.
    pub(crate) up: AtomicU64,
    /// To the client.
    pub(crate) down: AtomicU64,
}

impl Meter {
    /// Resolves when nothing has moved for the idle limit, or the total limit is reached.
    ///
    /// Looks at the counters now and then, so that moving bytes costs nothing: the idle limit is met within a quarter of it.
    pub(crate) async fn watch(&self, limits: &Limits, opened: Instant) -> Code {
        let end = limits.total_time.map(|total| opened + total);
        let tick = limits.idle_time / IDLE_TICKS;
        let mut last = self.total();
        let mut still = 0;
        loop {
            let next = Instant::now() + tick;
            match end {
                Some(end) if end <= next => {
                    tokio::time::sleep_until(end).await;
                    return Code::TotalTimeout;
                }
                _ => tokio::time::sleep_until(next).await,
            }
            let now = self.total();
            still = if now == last { still + 1 } else { 0 };
            last = now;
            if still == IDLE_TICKS {
                return Code::IdleTimeout;
            }
        }
    }

    fn total(&self) -> u64 {
        self.up.load(Ordering::Relaxed).wrapping_add(self.down.load(Ordering::Relaxed))
    }
}

const IDLE_TICKS: u32 = 4;

/// The client's side of an HTTP connection, counted.
#[derive(Debug)]
pub(crate) struct Metered {
    stream: TcpStream,
    /// Read already, and to be read first.
    early: Vec<u8>,
    meter: Arc<Meter>,
}

impl Metered {
    pub(crate) fn new(stream: TcpStream, early: Vec<u8>, meter: Arc<Meter>) -> Self {
        Self { stream, early, meter }
    }

    /// The socket, and what of the early bytes was not read.
    pub(crate) fn into_stream(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.early)
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let count = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early[..count]);
            self.early.drain(..count);
            self.meter.up.fetch_add(count as u64, Ordering::Relaxed);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.meter.up.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        poll
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count_written(&poll);
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count_written(&poll);
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Metered {
    fn count_written(&self, poll: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = poll {
            self.meter.down.fetch_add(*count as u64, Ordering::Relaxed);
        }
    }
}
