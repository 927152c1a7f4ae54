//! openraft over TCP: a connection that streams appends and one for everything else, both with MessagePack in
//! frames with a length. Appends are pipelined, and what is ready together leaves in one write: openraft has no
//! transport of its own, so this is what a careful user would write.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::{FutureExt, Stream, StreamExt, stream};
use openraft::{
    AnyError, OptionalSend, RaftNetworkFactory, RaftNetworkV2,
    alias::{SnapshotOf, VoteOf},
    base::{BoxFuture, BoxStream},
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, VoteRequest,
        VoteResponse,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

use super::{store::Node, types::Types};

/// The most frames that leave in one write.
const WRITE_FRAMES_MAX: usize = 128;
const READ_BYTES: usize = 256 << 10;

/// What a connection is for, its first byte.
const STREAM: u8 = b's';
const CALL: u8 = b'c';

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
enum Call {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Types>),
}

fn frame<T: Serialize>(buffer: &mut BytesMut, message: &T) -> io::Result<()> {
    let at = buffer.len();
    buffer.put_u32_le(0);
    let mut writer = std::mem::take(buffer).writer();
    rmp_serde::encode::write(&mut writer, message).map_err(io::Error::other)?;
    *buffer = writer.into_inner();
    let length = (buffer.len() - at - 4) as u32;
    buffer[at..at + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Frames as they come in.
struct Frames {
    input: OwnedReadHalf,
    buffer: BytesMut,
}

impl Frames {
    fn new(input: OwnedReadHalf) -> Self {
        Self { input, buffer: BytesMut::with_capacity(READ_BYTES) }
    }

    async fn next<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let frame = self.next_frame().await?;
        rmp_serde::from_slice(&frame).map_err(io::Error::other)
    }

    async fn next_frame(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(header) = self.buffer.first_chunk() {
                let length = u32::from_le_bytes(*header) as usize;
                if self.buffer.len() >= 4 + length {
                    self.buffer.advance(4);
                    return Ok(self.buffer.split_to(length).freeze());
                }
            }
            self.buffer.reserve(READ_BYTES);
            if self.input.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Messages until the connection ends.
    fn stream<T: DeserializeOwned + Send + 'static>(self) -> impl Stream<Item = T> + Send + 'static {
        stream::unfold(self, |mut frames| async move {
            let message = frames.next().await.ok()?;
            Some((message, frames))
        })
    }
}

/// Writes messages until they end, what is ready at once in one write.
async fn write_all<T: Serialize>(
    mut output: OwnedWriteHalf,
    messages: impl Stream<Item = T>,
) -> io::Result<()> {
    let mut ready = std::pin::pin!(messages.ready_chunks(WRITE_FRAMES_MAX));
    let mut buffer = BytesMut::new();
    while let Some(messages) = ready.next().await {
        for message in &messages {
            frame(&mut buffer, message)?;
        }
        output.write_all(&buffer).await?;
        buffer.clear();
    }
    Ok(())
}

/// Answers the other nodes.
pub(super) fn serve(listener: std::net::TcpListener, node: Node) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A connection that breaks is made anew by whoever needs it.
            tokio::spawn(answer(stream, node.clone()).map(drop));
        }
    });
    Ok(())
}

async fn answer(mut stream: TcpStream, node: Node) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let kind = stream.read_u8().await?;
    let (input, mut output) = stream.into_split();
    let mut frames = Frames::new(input);
    if kind == STREAM {
        let answers = node.stream_append(frames.stream::<AppendEntriesRequest<Types>>());
        return write_all(output, answers.filter_map(|answer| async { answer.ok() })).await;
    }
    loop {
        let mut buffer = BytesMut::new();
        match frames.next().await? {
            Call::Append(request) => {
                frame(&mut buffer, &node.append_entries(request).await.map_err(io::Error::other)?)?;
            }
            Call::Vote(request) => frame(&mut buffer, &node.vote(request).await.map_err(io::Error::other)?)?,
        }
        output.write_all(&buffer).await?;
    }
}

/// Where the nodes listen.
#[derive(Clone)]
pub(super) struct Addresses(pub(super) Arc<[SocketAddr]>);

impl RaftNetworkFactory<Types> for Addresses {
    type Network = Way;

    async fn new_client(&mut self, target: u64, (): &()) -> Way {
        Way { target: self.0[target as usize], call: None, writer: None }
    }
}

/// The way to one node.
pub(super) struct Way {
    target: SocketAddr,
    call: Option<(Frames, OwnedWriteHalf)>,
    /// Writes the present stream of appends; ends with it.
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl Drop for Way {
    fn drop(&mut self) {
        self.stop_writing();
    }
}

impl Way {
    fn stop_writing(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.abort();
        }
    }

    async fn connect(&self, kind: u8) -> io::Result<(Frames, OwnedWriteHalf)> {
        let mut stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        stream.write_u8(kind).await?;
        let (input, output) = stream.into_split();
        Ok((Frames::new(input), output))
    }

    async fn call<T: DeserializeOwned>(&mut self, call: Call) -> Result<T, RPCError<Types>> {
        let answer = self.try_call(&call).await;
        if answer.is_err() {
            self.call = None;
        }
        answer.map_err(|error| RPCError::Unreachable(Unreachable::new(&error)))
    }

    async fn try_call<T: DeserializeOwned>(&mut self, call: &Call) -> io::Result<T> {
        let (mut frames, mut output) = match self.call.take() {
            Some(open) => open,
            None => self.connect(CALL).await?,
        };
        let mut buffer = BytesMut::new();
        frame(&mut buffer, call)?;
        output.write_all(&buffer).await?;
        let answer = frames.next().await;
        self.call = Some((frames, output));
        answer
    }
}

type Answers<'s> = BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>;

impl RaftNetworkV2<Types> for Way {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.call(Call::Append(request)).await
    }

    fn stream_append<'s, S>(
        &'s mut self,
        requests: S,
        _: RPCOption,
    ) -> BoxFuture<'s, Result<Answers<'s>, RPCError<Types>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        async move {
            self.stop_writing();
            let connected = self.connect(STREAM).await;
            let (frames, output) =
                connected.map_err(|error| RPCError::Unreachable(Unreachable::new(&error)))?;
            self.writer = Some(tokio::spawn(write_all(output, requests)));
            let answers = stream::unfold(Some(frames), |frames| async move {
                let mut frames = frames?;
                match frames.next().await {
                    Ok(answer) => Some((Ok(answer), Some(frames))),
                    // The other side closes when it has answered the last of a stream of requests that ended.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
                    Err(error) => Some((Err(RPCError::Network(NetworkError::new(&error))), None)),
                }
            });
            Ok(answers.boxed())
        }
        .boxed()
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.call(Call::Vote(request)).await
    }

    async fn full_snapshot(
        &mut self,
        _: VoteOf<Types>,
        _: SnapshotOf<Types, ()>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(StreamingError::Unreachable(Unreachable::new(&AnyError::error(
            "the comparison takes no snapshots",
        ))))
    }
}
