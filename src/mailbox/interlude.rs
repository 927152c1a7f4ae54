//! Stepping aside in the middle of a burst.

use std::{
    pin::Pin,
    task::{self, Poll},
};

use actix::{Actor, AsyncContext, fut::ActorFuture};

use super::Context;

/// Has the actor do `first` before the next message of its mailbox, and lets the other tasks of this thread run in
/// between, `turns` times round: what `first` sends then goes that many hops on its way before the burst does.
/// Without it an actor handles all that its mailbox holds, and nobody whom it told of anything is heard meanwhile.
///
/// An interlude that is asked for while another one waits comes to nothing: one in a message, or one at a time.
pub fn interlude<A: Actor<Context = Context<A>>>(
    ctx: &mut Context<A>,
    turns: u32,
    first: impl FnOnce(&mut A) + Unpin + 'static,
) {
    if !ctx.is_held() {
        ctx.wait(Interlude { first: Some(first), turns });
    }
}

struct Interlude<F> {
    first: Option<F>,
    turns: u32,
}

impl<A, F> ActorFuture<A> for Interlude<F>
where
    A: Actor<Context = Context<A>>,
    F: FnOnce(&mut A) + Unpin,
{
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut A,
        _: &mut Context<A>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        if let Some(first) = self.first.take() {
            first(actor);
        }
        let Some(turns) = self.turns.checked_sub(1) else { return Poll::Ready(()) };
        self.turns = turns;
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use actix::{Handler, Message};
    use tokio::task::LocalSet;

    use super::*;
    use crate::mailbox::{Inspector, Outlet, spawn};

    type Story = Rc<RefCell<Vec<&'static str>>>;

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Say(&'static str);

    /// Tells its story, passes it on where somebody listens, and steps aside after "full".
    struct Teller {
        story: Story,
        listener: Option<Outlet<Say>>,
        turns: u32,
    }

    impl Actor for Teller {
        type Context = Context<Self>;
    }

    impl Handler<Say> for Teller {
        type Result = ();

        fn handle(&mut self, Say(word): Say, ctx: &mut Self::Context) {
            self.story.borrow_mut().push(word);
            if word == "full" {
                for what in ["cut", "cut again"] {
                    interlude(ctx, self.turns, move |teller: &mut Self| {
                        teller.story.borrow_mut().push(what);
                        if let Some(listener) = &teller.listener {
                            listener.send_now(Say("heard"));
                        }
                    });
                }
            }
        }
    }

    async fn told(turns: u32) -> Vec<&'static str> {
        let story = Story::default();
        let teller = |listener, story: &Story| Teller { story: story.clone(), listener, turns };
        let inspector = Inspector::new("n1");
        let listener = spawn(&inspector, "listener", |_| teller(None, &story));
        let speaker = spawn(&inspector, "speaker", |_| teller(Some(listener.port.outlet()), &story));
        for word in ["one", "full", "two"] {
            speaker.port.send_now(Say(word));
        }
        drop((listener.port, speaker.port));
        speaker.task.await.expect("it does not panic");
        listener.task.await.expect("it does not panic");
        story.take()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_comes_first_is_heard_before_the_burst_goes_on() {
        let story = LocalSet::new().run_until(told(1)).await;
        assert_eq!(story, ["one", "full", "cut", "heard", "two"]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn without_a_turn_the_burst_goes_on_at_once() {
        let story = LocalSet::new().run_until(told(0)).await;
        assert_eq!(story, ["one", "full", "cut", "two", "heard"]);
    }
}
