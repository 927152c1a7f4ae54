//! The bridge of a simulator: stands for a thread, on the protocol's own thread and in virtual time.
//!
//! What the log's thread, the state machine's and those of the snapshots do is a step without a thread of its own ([`Job`]). Here it is run
//! when [`Pace`] says, and its completions arrive when `Pace` says, so that they come between the other
//! messages as a thread's would: late, in a burst, or just before the power fails.

use std::{cell::RefCell, rc::Rc, time::Duration};

use tokio::{sync::Notify, task::JoinHandle, time::sleep};

use crate::mailbox::Outlet;

/// Which thread a bridge stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thread {
    /// The log's.
    Storage,
    /// The state machine's.
    StateMachine,
    /// The snapshot store's.
    Snapshots,
    /// The one that writes a state.
    Persist,
}

/// How fast the threads of a simulated node are.
pub(crate) trait Pace {
    /// How long `thread` takes to begin with what is queued and to do it, such as a write and a flush.
    fn work(&self, thread: Thread) -> Duration;

    /// How much later the next completion of `thread` arrives.
    fn completion(&self, thread: Thread) -> Duration;
}

/// What a thread does, without the thread.
pub(crate) trait Job: 'static {
    /// What it is given.
    type Work: 'static;
    /// What it says when it has done something.
    type Done: 'static;

    /// Takes `work` up, without doing it.
    fn queue(&mut self, work: Self::Work);

    /// Does what a thread does between two looks at its queue; whether there is more that it need not wait for.
    fn run(&mut self, emit: &mut dyn FnMut(Self::Done)) -> bool;

    /// Whether `done` is the last thing that it says.
    fn is_last(done: &Self::Done) -> bool;
}

/// A job at the pace of a simulator. The job is let go before its last completion arrives, as a thread does.
pub(crate) struct PacedThread<J: Job> {
    shared: Rc<Shared<J>>,
}

struct Shared<J> {
    job: RefCell<Option<J>>,
    queued: Notify,
}

impl<J: Job> PacedThread<J> {
    /// Starts the work; the task ends with the job's last completion.
    pub(crate) fn start(
        job: J,
        thread: Thread,
        pace: Rc<dyn Pace>,
        done: Outlet<J::Done>,
    ) -> (Self, JoinHandle<()>) {
        let shared = Rc::new(Shared { job: RefCell::new(Some(job)), queued: Notify::new() });
        let task = actix_rt::spawn(serve(shared.clone(), thread, pace, done));
        (Self { shared }, task)
    }

    /// False if the job has ended.
    pub(crate) fn queue(&self, work: J::Work) -> bool {
        let mut job = self.shared.job.borrow_mut();
        let Some(job) = job.as_mut() else { return false };
        job.queue(work);
        self.shared.queued.notify_one();
        true
    }

    /// Asks the job something, unless it has ended.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&J) -> T) -> Option<T> {
        self.shared.job.borrow().as_ref().map(question)
    }
}

async fn serve<J: Job>(shared: Rc<Shared<J>>, thread: Thread, pace: Rc<dyn Pace>, done: Outlet<J::Done>) {
    let mut more = false;
    loop {
        if !more {
            shared.queued.notified().await;
        }
        sleep(pace.work(thread)).await;
        let mut completions = Vec::new();
        more = match shared.job.borrow_mut().as_mut() {
            Some(job) => job.run(&mut |done| completions.push(done)),
            None => return,
        };
        for completion in completions {
            sleep(pace.completion(thread)).await;
            let last = J::is_last(&completion);
            if last {
                shared.job.take();
            }
            done.send_now(completion);
            if last {
                return;
            }
        }
    }
}
