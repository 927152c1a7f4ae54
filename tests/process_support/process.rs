//! One process of the example, killed when its test is done with it.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use super::wait::eventually;

/// A running, or ended, process. What it prints goes to files, and to the test's output if that fails.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts the example `kv` with `arguments`; its output goes to files called `name` in `logs`.
    pub(crate) fn start(arguments: &[String], logs: &Path, name: &str) -> Self {
        Self::start_example("kv", arguments, logs, name)
    }

    /// The same with another example.
    pub(crate) fn start_example(program: &str, arguments: &[String], logs: &Path, name: &str) -> Self {
        let (stdout, stderr) = (logs.join(format!("{name}.out")), logs.join(format!("{name}.err")));
        let log = |path: &Path| File::create(path).unwrap();
        let child = Command::new(example(program))
            .args(arguments)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(log(&stdout))
            .stderr(log(&stderr))
            .spawn()
            .unwrap();
        Self { child, name: name.to_owned(), stdout, stderr }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(&what, || self.try_wait())
    }

    /// Asks it to stop, as an operator does, and waits until it has.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        signal("TERM", self.id());
        self.wait()
    }

    /// Kills it where it stands (`kill -9`).
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it has written to standard output.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap()
    }

    /// What it has written to standard error.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- {}\n{}{}", self.name, self.stdout(), self.stderr());
        }
    }
}

/// Sends a signal by its name to a process that this test started.
pub(crate) fn signal(name: &str, process: u32) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {process}")).status().unwrap();
    assert!(sent.success(), "kill -{name} {process}: {sent}");
}

/// An example's executable, which `cargo test` builds beside this one.
fn example(program: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let example = profile.join("examples").join(program);
    assert!(example.is_file(), "{} is missing: run `cargo build --example {program}`", example.display());
    example
}
