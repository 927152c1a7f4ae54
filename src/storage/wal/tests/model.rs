//! A run of calls against the log and the memory store at once, which knows what may be left when it
//! is interrupted. And the property that nothing else is, whatever the calls.

use proptest::prelude::*;

use super::*;

/// One call.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Append { count: u64, size: usize },
    NewTerm { count: u64 },
    Conflict { back: u64, count: u64, lower_term: bool },
    Vote { name: u8 },
    Purge { keep: u64 },
    Reset { ahead: u64 },
    Flush,
    Reopen,
}

/// The log and its model.
pub(super) struct Run {
    pub(super) disk: SimVfs,
    wal: Option<Wal>,
    model: MemoryStore,
    /// What the log was withheld for when it was opened.
    withheld: Option<LogId>,
    /// The highest term so far.
    term: u64,
    /// The states since the last flush that was acknowledged, that one first: a crash may leave any.
    pub(super) states: Vec<MemoryStore>,
}

impl Image {
    fn brief(&self) -> String {
        let ids: Vec<LogId> = self.entries.iter().map(|(id, _)| *id).collect();
        format!("{:?} {:?} {:?}", self.recovered.vote, self.recovered.withheld, ids)
    }
}

impl Run {
    pub(super) fn new(disk: SimVfs) -> Self {
        let model = MemoryStore::new();
        Self { disk, wal: None, states: vec![model.clone()], model, withheld: None, term: 1 }
    }

    pub(super) fn acknowledged(&self) -> Image {
        Image::of_model(&self.states[0])
    }

    pub(super) fn run(&mut self, steps: &[Step]) -> Result<(), StorageError> {
        if self.wal.is_none() {
            self.reopen()?;
        }
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn ends(&mut self) -> (LogBase, LogId) {
        let recovered = self.model.recover().unwrap();
        (recovered.base, recovered.last)
    }

    /// Makes a call of both. What the log was asked may be on the disk even if it answers no more.
    fn both(
        &mut self,
        call: impl Fn(&mut dyn LogStore) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        call(&mut self.model)?;
        self.states.push(self.model.clone());
        call(self.wal.as_mut().expect("opened"))
    }

    pub(super) fn step(&mut self, step: &Step) -> Result<(), StorageError> {
        let (base, last) = self.ends();
        let next = last.index.0 + 1;
        match step {
            Step::Append { count, size } => {
                let entries = batch(next, self.term.max(last.term.0), *count, *size);
                self.both(|store| store.append(&entries))
            }
            Step::NewTerm { count } => {
                self.term += 1;
                let entries = batch(next, self.term, *count, 20);
                self.both(|store| store.append(&entries))
            }
            Step::Conflict { back, count, lower_term } => {
                let from = LogIndex(next.saturating_sub(*back)).max(base.last.index.next());
                self.both(|store| store.truncate(from))?;
                self.term += 2;
                // A new leader may bring entries of a term between.
                let term = self.term - u64::from(*lower_term);
                let entries = batch(from.0, term, *count, 40);
                self.both(|store| store.append(&entries))
            }
            Step::Vote { name } => {
                self.term += 1;
                let vote = vote(self.term, &format!("n{name}"));
                self.both(|store| store.save_vote(&vote))
            }
            Step::Purge { keep } => {
                let upto = last.index.0.saturating_sub(*keep);
                if upto <= base.last.index.0 {
                    return Ok(());
                }
                let entries = self.model.read(LogIndex(upto), LogIndex(upto), 1)?;
                let base = LogBase { last: entries[0].last_id(), ..LogBase::default() };
                self.both(|store| store.purge(&base))
            }
            Step::Reset { ahead } => {
                self.term += 1;
                let base = super::base(last.index.0 + ahead, self.term);
                self.both(|store| store.reset(&base))
            }
            Step::Flush => {
                self.wal.as_mut().expect("opened").flush()?;
                self.states = vec![self.model.clone()];
                Ok(())
            }
            Step::Reopen => self.reopen(),
        }
    }

    /// Opens the log on what is left, and checks that it is something that may be.
    pub(super) fn reopen(&mut self) -> Result<(), StorageError> {
        self.wal = None;
        let (wal, image, repairs) = reopen(&self.disk)?;
        self.check(&image, &repairs);
        self.withheld = image.recovered.withheld;
        self.model = image.to_model();
        // Whoever appends after a restart leads a new term.
        self.term += 1;
        self.states = vec![self.model.clone()];
        self.wal = Some(wal);
        Ok(())
    }

    fn check(&self, image: &Image, repairs: &[String]) {
        let images: Vec<Image> = self.states.iter().map(Image::of_model).collect();
        if image.recovered.withheld.is_none() || image.recovered.withheld == self.withheld {
            let image = &Image {
                recovered: Recovered { withheld: None, ..image.recovered.clone() },
                ..image.clone()
            };
            let matches = images.iter().any(|state| state == image);
            // The vote of a damaged flush is known whole when its entries are not.
            let mixed = images.iter().any(|state| state.entries == image.entries)
                && images.iter().any(|state| state.recovered.vote == image.recovered.vote);
            assert!(
                matches || (mixed && !repairs.is_empty()),
                "found {}\nnone of {:#?}\n{repairs:?}",
                image.brief(),
                images.iter().map(Image::brief).collect::<Vec<_>>()
            );
            return;
        }
        assert!(!repairs.is_empty());
        for entry in &images[0].entries {
            let always = images.iter().all(|state| state.entries.contains(entry));
            assert!(
                !always || image.entries.contains(entry),
                "{:?} was acknowledged: {} {repairs:?}\n{:#?}",
                entry.0,
                image.brief(),
                images.iter().map(Image::brief).collect::<Vec<_>>()
            );
        }
        for entry in &image.entries {
            assert!(images.iter().any(|state| state.entries.contains(entry)), "{:?} came back", entry.0);
        }
        assert!(images.iter().any(|state| state.recovered.vote == image.recovered.vote));
        assert!(images.iter().any(|state| Some(state.recovered.last) == image.recovered.withheld));
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..5u64, prop_oneof![3 => 0..200usize, 1 => 900..2500usize])
            .prop_map(|(count, size)| Step::Append { count, size }),
        1 => (1..3u64).prop_map(|count| Step::NewTerm { count }),
        2 => (0..6u64, 1..4u64, any::<bool>())
            .prop_map(|(back, count, lower_term)| Step::Conflict { back, count, lower_term }),
        1 => (1..4u8).prop_map(|name| Step::Vote { name }),
        1 => (0..8u64).prop_map(|keep| Step::Purge { keep }),
        1 => (0..30u64).prop_map(|ahead| Step::Reset { ahead }),
        5 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_shows_what_the_model_shows_whenever_it_is_opened_again(steps in steps()) {
        let mut run = Run::new(SimVfs::new());
        run.run(&steps).unwrap();
        run.step(&Step::Flush).unwrap();
        let shown = run.acknowledged();
        run.step(&Step::Reopen).unwrap();
        prop_assert_eq!(run.acknowledged(), shown);
    }

    #[test]
    fn losing_power_at_any_point_of_any_run_keeps_what_was_acknowledged(
        steps in steps(), at in 0..400u64, again in 0..60u64, seed in any::<u64>()
    ) {
        let disk = SimVfs::new();
        disk.inject(Fault::power_off_at(at));
        let mut run = Run::new(disk.clone());
        let _ = run.run(&steps);
        disk.power_loss(seed);
        // And once more while it recovers.
        disk.inject(Fault::power_off_at(again));
        if run.reopen().is_err() {
            disk.power_loss(seed ^ 1);
            run.reopen().unwrap();
        }
        disk.clear_faults();
        run.run(&[Step::Append { count: 3, size: 50 }, Step::Flush, Step::Reopen]).unwrap();
    }
}
