//! When to stop: the operator's signals, and the end of the process that started this one.

use std::{future::Future, io, thread};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// Resolves at Ctrl-C or SIGTERM. From this call on they no longer end the process by themselves.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves when standard input ends: the other end of the pipe is closed, by the parent or, however it
/// died, by the kernel.
///
/// A thread of its own reads: the runtime would wait for a blocking read of its own when it stops.
pub(crate) fn input_ended() -> impl Future<Output = ()> {
    let (ended, wait) = oneshot::channel();
    thread::spawn(move || {
        // An error ends the watch as well: what cannot be watched must not outlive its parent.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = ended.send(());
    });
    async move {
        let _ = wait.await;
    }
}
