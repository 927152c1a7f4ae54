//! Go's `chan struct{}` of capacity 1: many reasons to wake an actor, one message in its mailbox.

use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::AcqRel},
    },
};

use actix::{Actor, Handler, Message};

use super::{Context, Port};

/// Whether a signal is on its way. Shared by those who raise it and the one who lowers it; a clone is the same latch.
#[derive(Clone, Debug, Default)]
pub struct Latch(Arc<AtomicBool>);

impl Latch {
    /// The receiver's first act in handling a signal, *before* it reads the state that the signal tells of: what
    /// changes after the reading then raises a new signal. The other way round a wake-up can be lost.
    pub fn lower(&self) {
        // A swap, not a store: it has to see what was written before each `raise` that found the latch raised.
        self.0.swap(false, AcqRel);
    }

    /// Whether it was lowered until now, so that a message has to be posted.
    fn raise(&self) -> bool {
        // Never skipped after a mere load, for the same reason.
        !self.0.swap(true, AcqRel)
    }
}

/// Posts `M` to an actor unless one is pending. The messages it stands for carry nothing: the receiver reads the state.
pub struct Signal<A: Actor, M> {
    port: Port<A>,
    latch: Latch,
    message: PhantomData<fn() -> M>,
}

impl<A, M> Signal<A, M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Default + Send + 'static,
    M::Result: Send,
{
    /// A signal to the actor behind `port` with a latch of its own.
    pub fn new(port: Port<A>) -> Self {
        Self::with_latch(port, Latch::default())
    }

    /// A signal to the actor behind `port`, which holds `latch` already.
    pub fn with_latch(port: Port<A>, latch: Latch) -> Self {
        Self { port, latch, message: PhantomData }
    }

    /// Makes sure that the receiver reads the state once more after what the caller wrote before this call.
    pub fn raise(&self) {
        if self.latch.raise() {
            self.port.send_now(M::default());
        }
    }

    /// See [`Latch::lower`].
    pub fn lower(&self) {
        self.latch.lower();
    }

    /// The latch, for the receiver to keep: unlike the signal it does not keep the actor alive.
    pub fn latch(&self) -> Latch {
        self.latch.clone()
    }
}

impl<A: Actor, M> Clone for Signal<A, M> {
    fn clone(&self) -> Self {
        Self { port: self.port.clone(), latch: self.latch.clone(), message: PhantomData }
    }
}

impl<A: Actor, M> fmt::Debug for Signal<A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("port", &self.port).field("latch", &self.latch).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicU32, Ordering::Relaxed},
            mpsc,
        },
        thread,
    };

    use super::Latch;

    #[test]
    fn a_change_posts_again_once_the_latch_is_lowered_and_not_before() {
        let latch = Latch::default();
        assert!(latch.raise() && !latch.raise());
        latch.lower();
        assert!(
            latch.raise(),
            "between the lowering and the reading: one wake-up too many, never one too few"
        );
    }

    /// Each raiser goes on only when its change was seen, so that a lost wake-up brings it to a stand.
    #[test]
    fn no_change_is_missed_by_a_receiver_that_lowers_before_it_reads() {
        const RAISERS: usize = 2;
        const CHANGES: u32 = 5_000;
        const PATIENCE: u32 = 5_000_000;
        let (latch, (post, posted)) = (Latch::default(), mpsc::channel());
        let (state, seen) = ([const { AtomicU32::new(0) }; RAISERS], [const { AtomicU32::new(0) }; RAISERS]);
        thread::scope(|scope| {
            for (raiser, post) in vec![post; RAISERS].into_iter().enumerate() {
                let (latch, state, seen) = (&latch, &state[raiser], &seen[raiser]);
                scope.spawn(move || {
                    for change in 1..=CHANGES {
                        state.store(change, Relaxed);
                        if latch.raise() {
                            post.send(()).expect("it is read to the end");
                        }
                        let is_seen = (0..PATIENCE).any(|_| {
                            thread::yield_now();
                            seen.load(Relaxed) == change
                        });
                        assert!(is_seen, "change {change} raised no one");
                    }
                });
            }
            for () in posted {
                latch.lower();
                for (state, seen) in state.iter().zip(&seen) {
                    seen.store(state.load(Relaxed), Relaxed);
                }
            }
        });
    }
}
