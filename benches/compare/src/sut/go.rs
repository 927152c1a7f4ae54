//! The systems written in Go: small programs under `go/` with the same command line and the same line of JSON.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::job::Sut;

/// Builds the programs, or says in a line why not.
pub(crate) fn build(directory: &Path) -> Result<(), String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    let absolute = env::current_dir().map_err(|error| error.to_string())?.join(directory);
    let build = Command::new("go")
        .arg("build")
        .arg("-o")
        .arg(format!("{}/", absolute.display()))
        .args(["./hashicorp", "./etcd"])
        .current_dir(source)
        .output();
    match build {
        Err(error) => Err(format!("no Go toolchain ({error})")),
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("`go build` failed: {}", said.lines().last().unwrap_or_default()))
        }
        Ok(_) => Ok(()),
    }
}

/// The program of a system.
pub(crate) fn program(directory: &Path, sut: Sut) -> PathBuf {
    directory.join(sut.name())
}
