//! Starts a child for each measurement, kills the durable ones under load and starts them again.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{
    job::{Job, Log, Sut, Task},
    outcome::Outcome,
    subject::Subject,
    sut::go,
};

/// How long a child may take beyond what it measures and what it waits for nodes: to start, to fill logs, to recover.
const PATIENCE: Duration = Duration::from_secs(60);
/// And for each entry that is written before anything is measured,
const PATIENCE_PER_ENTRY: Duration = Duration::from_micros(300);
/// and for each leader that it cuts off.
const PATIENCE_PER_CUT: Duration = Duration::from_secs(2);
/// How long a durable child goes on writing before it is killed.
const UNTIL_KILLED: Duration = Duration::from_millis(300);

/// Where the Go programs are.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) programs: PathBuf,
}

impl Runner {
    /// Measures once. A failure is told in the outcome: it has no number.
    pub(crate) fn measure(&self, subject: Subject, job: &Job) -> Outcome {
        let is_killed = job.log == Log::Disk && !job.reads && subject != Subject::Limit;
        // Only what a child left behind would be there, and it would be recovered.
        let _ = fs::remove_dir_all(&job.data);
        let result = fs::create_dir_all(&job.data).map_err(|error| error.to_string()).and_then(|()| {
            if is_killed { self.measure_and_kill(subject, job) } else { self.run(subject, job, None) }
        });
        let _ = fs::remove_dir_all(&job.data);
        result.unwrap_or_else(|error| Outcome { setting: job.setting.clone(), error, ..Outcome::default() })
    }

    /// The process is killed while it writes; what it had acknowledged before must all be there again, on every
    /// node.
    fn measure_and_kill(&self, subject: Subject, job: &Job) -> Result<Outcome, String> {
        let mut outcome = self.run(subject, &Job { hold: true, ..job.clone() }, Some(UNTIL_KILLED))?;
        if !outcome.error.is_empty() {
            return Ok(outcome);
        }
        let again = self.run(subject, &Job { recover: outcome.index, ..job.clone() }, None)?;
        let same = (again.acked, &again.sum) == (outcome.acked, &outcome.sum);
        if !again.error.is_empty() {
            outcome.error = format!("after a kill: {}", again.error);
        } else if !again.agree || !same {
            outcome.error = "lost acknowledged entries when killed".to_owned();
        }
        if job.task == Task::Restart {
            // What was measured is the second life.
            let agree = outcome.agree && again.agree;
            outcome = Outcome { error: outcome.error, agree, ..again };
        } else {
            outcome.recover_ms = again.recover_ms;
        }
        Ok(outcome)
    }

    fn run(&self, subject: Subject, job: &Job, kill_after: Option<Duration>) -> Result<Outcome, String> {
        let mut command = self.command(subject)?;
        let mut child = command
            .args(job.flags())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let patience = PATIENCE
            + job.patience()
            + Duration::from_millis(job.warm_ms + job.run_ms)
            + PATIENCE_PER_ENTRY * u32::try_from(job.entries).unwrap_or(u32::MAX)
            + PATIENCE_PER_CUT * job.cuts as u32;
        let line = first_line(&mut child, patience);
        match kill_after {
            Some(delay) if line.is_some() => thread::sleep(delay),
            _ => {}
        }
        if line.is_none() || kill_after.is_some() {
            // It may have ended by itself.
            let _ = child.kill();
        }
        child.wait().map_err(|error| error.to_string())?;
        let line = line.ok_or_else(|| format!("said nothing for {patience:?}"))?;
        serde_json::from_str(&line).map_err(|error| format!("said {line:?}: {error}"))
    }

    fn command(&self, subject: Subject) -> Result<Command, String> {
        let own = env::current_exe().map_err(|error| error.to_string())?;
        Ok(match subject {
            Subject::System(sut @ (Sut::Hashicorp | Sut::Etcd)) => {
                Command::new(go::program(&self.programs, sut))
            }
            Subject::System(sut) => {
                let mut command = Command::new(own);
                command.args(["child", "--sut", sut.name()]);
                command
            }
            Subject::Limit => {
                let mut command = Command::new(own);
                command.arg("limit");
                command
            }
        })
    }
}

/// The first line that a child prints within some time.
fn first_line(child: &mut Child, patience: Duration) -> Option<String> {
    let output = child.stdout.take()?;
    let (report, line) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(output).lines();
        if let Some(Ok(line)) = lines.next() {
            // Nobody waits any more when patience has ended.
            let _ = report.send(line);
        }
    });
    line.recv_timeout(patience).ok()
}
