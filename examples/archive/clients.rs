//! Clients' connections: reads a line, has it answered, writes the answer, and so on until the client goes. Bounded in
//! everything that a client may send.

use std::{io, sync::Arc};

use bytes::Bytes;
use serde_json::json;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tracing::warn;

use crate::{
    node::Node,
    requests::{self, Answer, Request},
};

/// How many clients are served at once; further ones wait.
const CONNECTIONS_MAX: usize = 256;

/// The longest line, in bytes.
const LINE_BYTES_MAX: u64 = 1024;

/// Serves clients until the listener fails.
pub(crate) async fn serve(raft: Node, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = places.clone().acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => return warn!("cannot accept clients any more: {error}"),
        };
        let raft = raft.clone();
        actix::spawn(async move {
            // A client that goes is no event.
            let _ = converse(&raft, stream).await;
            drop(place);
        });
    }
}

async fn converse(raft: &Node, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut client = BufStream::new(stream);
    while let Some(line) = read_line(&mut client).await? {
        let request = match line.parse::<Request>() {
            Ok(request) => request,
            // Nobody knows whether what comes next is a line.
            Err(error) => return reply(&mut client, Err(error)).await,
        };
        let blob = match &request {
            Request::Append { length } => read_blob(&mut client, *length).await?,
            _ => Bytes::new(),
        };
        reply(&mut client, requests::answer(raft, request, blob).await).await?;
    }
    Ok(())
}

async fn reply(client: &mut (impl AsyncWrite + Unpin), answer: Answer) -> io::Result<()> {
    let (line, blob) = answer.unwrap_or_else(|error| (json!({ "error": error }), Vec::new()));
    client.write_all(format!("{line}\n").as_bytes()).await?;
    client.write_all(&blob).await?;
    client.flush().await
}

/// The next line; none behind the last.
async fn read_line(client: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = client.take(LINE_BYTES_MAX).read_line(&mut line).await?;
    if read as u64 == LINE_BYTES_MAX && !line.ends_with('\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
    }
    Ok((read > 0).then_some(line))
}

async fn read_blob(client: &mut (impl AsyncBufRead + Unpin), length: u64) -> io::Result<Bytes> {
    // No more is reserved than has arrived.
    let mut blob = Vec::new();
    client.take(length).read_to_end(&mut blob).await?;
    if (blob.len() as u64) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(blob.into())
}
