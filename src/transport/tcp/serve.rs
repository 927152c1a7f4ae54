//! One connection that a peer made: its requests go to the node, the node's answers go back.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::net::TcpStream;

use super::{
    Closed, Shared,
    outbox::{Outbox, Rejected},
    pump::{self, Handler},
};
use crate::{
    transport::{Identity, Responder, ResponseSink, RpcError},
    types::Response,
    wire::{self, FrameKind, FrameLimits, Message},
};

/// Beats of silence after which the peer is taken for gone: six times what the peer itself allows.
const QUIET_MAX: u32 = 24;

/// Serves the peer `from` until the connection ends.
pub(super) async fn run(
    shared: &Rc<Shared>,
    stream: TcpStream,
    from: Identity,
    outbox: Arc<Outbox>,
) -> Closed {
    let options = &shared.options;
    let answers = Arc::new(Answers {
        outbox: outbox.clone(),
        in_flight: AtomicUsize::new(0),
        limits: options.frame_limits(),
        // Requests are not read while half of it waits; the rest is for the answers to those read.
        unwritten_max: options.write_buffer_bytes_max * 2,
    });
    let mut callee = Callee { shared: shared.clone(), from, answers };
    pump::pump(stream, &outbox, options.frame_limits(), shared.beat(), &mut callee).await
}

/// The listening side's handler.
struct Callee {
    shared: Rc<Shared>,
    from: Identity,
    answers: Arc<Answers>,
}

impl Drop for Callee {
    /// Answers that come later have nowhere to go, however the connection ended.
    fn drop(&mut self) {
        self.answers.outbox.close();
    }
}

impl Handler for Callee {
    fn message(&mut self, request_id: u64, _kind: FrameKind, message: Message) -> Result<(), Closed> {
        let Message::Request(request) = message else {
            return Err(Closed::Protocol("an answer on a connection made for requests"));
        };
        let inbound = self.shared.inbound().ok_or(Closed::Stopped)?;
        self.answers.in_flight.fetch_add(1, Ordering::Relaxed);
        inbound.deliver(&self.from, request, Responder::new(self.answers.clone(), request_id));
        Ok(())
    }

    fn may_read(&self) -> bool {
        let options = &self.shared.options;
        self.answers.in_flight.load(Ordering::Relaxed) < options.requests_in_flight_max
            && self.answers.outbox.unwritten() < options.write_buffer_bytes_max as u64
    }

    fn beat(&mut self, quiet: u32) -> Result<(), Closed> {
        let own = self.shared.identity().ok_or(Closed::Stopped)?;
        // A node that was blank may have joined another cluster than the peer's meanwhile.
        own.accepts(&self.from, &self.from.id)?;
        if quiet >= QUIET_MAX { Err(Closed::Silent) } else { Ok(()) }
    }
}

/// Where the responders of one connection answer.
struct Answers {
    outbox: Arc<Outbox>,
    /// Requests delivered and not answered.
    in_flight: AtomicUsize,
    limits: FrameLimits,
    unwritten_max: usize,
}

impl ResponseSink for Answers {
    fn respond(&self, request_id: u64, result: Result<Response, RpcError>) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let pushed = self.outbox.push(self.unwritten_max, |out| {
            let encoded =
                result.map(|response| wire::encode_response(out, request_id, &response, self.limits));
            match encoded {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!("an answer cannot be sent: {error}");
                    wire::encode_dropped(out, request_id);
                }
                Err(_) => wire::encode_dropped(out, request_id),
            }
            Ok(())
        });
        if let Err(Rejected::Full) = pushed {
            // The peer does not read. It learns that its requests are lost instead of waiting for ever.
            self.outbox.close();
        }
    }
}
