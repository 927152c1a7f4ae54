//! What may take as long as a state is large, beside everything else: writing one of this node's, and copying one of a
//! user's.

use std::{
    io::{self, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{
    PersistWork, SnapshotCompletion,
    step::{PERSIST_BYTES, persist},
};
use crate::{
    error::{RestoreError, SnapshotError},
    messages::{RestoreFeeder, SnapshotStaged, StageSnapshot},
    state_machine::SnapshotCheck,
    storage::staging::{StagedSnapshot, StagingArea},
};

/// One such thing.
pub(crate) enum LongWork {
    /// Write a state of this node's.
    Persist(PersistWork),
    /// Copy a snapshot of a user's.
    Stage(StageSnapshot, StagingArea),
}

impl LongWork {
    pub(super) fn perform(self) -> SnapshotCompletion {
        match self {
            Self::Persist(work) => SnapshotCompletion::Written(persist(work)),
            Self::Stage(work, area) => {
                let feeder = work.feeder.clone();
                SnapshotCompletion::Staged { feeder, message: SnapshotStaged { result: stage(work, &area) } }
            }
        }
    }

    /// What to say when it cannot be begun.
    pub(super) fn refused(&self) -> impl FnOnce(&io::Error) -> SnapshotCompletion + use<> {
        let feeder = match self {
            Self::Persist(_) => None,
            Self::Stage(work, _) => Some(work.feeder.clone()),
        };
        move |error| refused(feeder, format!("cannot start a thread: {error}"))
    }
}

fn refused(feeder: Option<Arc<dyn RestoreFeeder>>, what: String) -> SnapshotCompletion {
    match feeder {
        None => SnapshotCompletion::Written(Err(SnapshotError::Persist(what))),
        Some(feeder) => {
            let result = Err(RestoreError::Unreadable(what));
            SnapshotCompletion::Staged { feeder, message: SnapshotStaged { result } }
        }
    }
}

/// Copies what the user gives and has it checked. Whatever is wrong with it, or with how it is read, concerns this restore
/// alone.
fn stage(work: StageSnapshot, area: &StagingArea) -> Result<StagedSnapshot, RestoreError> {
    let StageSnapshot { snapshot, check, bytes_max, wanted, .. } = work;
    let is_wanted = || if wanted.strong_count() > 0 { Ok(()) } else { Err(RestoreError::Timeout) };
    let panicked = |_| RestoreError::Unreadable("its reader panicked".to_owned());
    let copied = catch_unwind(AssertUnwindSafe(|| copy(snapshot, area, bytes_max, &is_wanted)));
    let mut copied = copied.map_err(panicked)??;
    is_wanted()?;
    let checked = catch_unwind(AssertUnwindSafe(|| run_check(check, &mut copied)));
    checked.unwrap_or_else(|_| Err("the check panicked".to_owned())).map_err(RestoreError::Invalid)?;
    Ok(copied)
}

fn copy(
    mut snapshot: Box<dyn Read + Send>,
    area: &StagingArea,
    bytes_max: u64,
    is_wanted: &dyn Fn() -> Result<(), RestoreError>,
) -> Result<StagedSnapshot, RestoreError> {
    let kept = |error| RestoreError::Storage(Arc::new(error));
    let mut copied = area.create().map_err(kept)?;
    let mut buffer = vec![0; PERSIST_BYTES];
    loop {
        let read = match snapshot.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(|error| RestoreError::Unreadable(error.to_string()))?,
        };
        is_wanted()?;
        if read == 0 {
            return Ok(copied);
        }
        if copied.length() + read as u64 > bytes_max {
            return Err(RestoreError::TooLarge { bytes_max });
        }
        copied.append(&buffer[..read]).map_err(kept)?;
    }
}

fn run_check(check: SnapshotCheck, copied: &mut StagedSnapshot) -> Result<(), String> {
    let mut reader = io::BufReader::with_capacity(PERSIST_BYTES, copied.reader());
    check(&mut reader).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;
    use crate::{actors::snapshotter::step::read_staged, messages::StagedRead};

    #[derive(Debug)]
    struct Nobody;

    impl RestoreFeeder for Nobody {
        fn staged(&self, _: SnapshotStaged) {}

        fn read(&self, _: StagedRead) {}
    }

    fn staged(
        snapshot: impl Read + Send + 'static,
        check: SnapshotCheck,
        wanted: Weak<()>,
    ) -> Result<StagedSnapshot, RestoreError> {
        let snapshot = Box::new(snapshot);
        stage(
            StageSnapshot { snapshot, check, bytes_max: 10, wanted, feeder: Arc::new(Nobody) },
            &StagingArea::Memory,
        )
    }

    fn good(_: &mut dyn Read) -> io::Result<()> {
        Ok(())
    }

    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the line is cut"))
        }
    }

    #[test]
    fn what_is_copied_is_read_in_pieces() {
        let wanted = Arc::new(());
        let copy = staged(&b"0123456789"[..], good, Arc::downgrade(&wanted)).unwrap();
        let (copy, piece) = read_staged(copy, 2, 3).unwrap();
        assert_eq!(&piece[..], b"234");
        assert!(read_staged(copy, 8, 3).is_err());
    }

    #[test]
    fn a_snapshot_that_is_too_large_unreadable_or_refused_is_none() {
        let wanted = Arc::new(());
        let with =
            |snapshot: &'static [u8], check| staged(snapshot, check, Arc::downgrade(&wanted)).unwrap_err();
        assert!(matches!(with(b"0123456789x", good), RestoreError::TooLarge { bytes_max: 10 }));
        let refuses: SnapshotCheck = |_| Err(io::Error::other("no state"));
        assert!(matches!(with(b"x", refuses), RestoreError::Invalid(why) if why == "no state"));
        let panics: SnapshotCheck = |_| panic!("no state");
        assert!(matches!(with(b"x", panics), RestoreError::Invalid(_)));
        let cut = staged(Failing, good, Arc::downgrade(&wanted)).unwrap_err();
        assert!(matches!(cut, RestoreError::Unreadable(why) if why == "the line is cut"));
    }

    #[test]
    fn what_nobody_wants_any_more_is_not_copied_to_its_end() {
        assert!(matches!(staged(io::repeat(0), good, Weak::new()), Err(RestoreError::Timeout)));
    }
}
