//! Power is lost at every operation of a run.

use super::*;

/// What the caller was told.
#[derive(Default)]
struct Told {
    /// Published, and not removed since.
    there: Vec<u64>,
    /// May be there or not: the call was under way.
    open: Vec<u64>,
}

/// Publishes five snapshots, one of them twice, gives one up, retains two each time.
fn run(disk: &SimVfs, told: &mut Told) -> Result<(), StorageError> {
    let mut store = open_store(disk);
    store.recover()?;
    for index in [3, 8, 8, 15, 26] {
        drop(store.create(upto(index + 1))?);
        told.open.push(index);
        publish(&mut store, index)?;
        told.there.retain(|there| *there != index);
        told.there.push(index);
        let kept = told.there.len().saturating_sub(2);
        told.open = told.there.drain(..kept).collect();
        store.retain(2)?;
        told.open.clear();
    }
    Ok(())
}

/// Looks at what is left: all that was told is there whole, and nothing that is neither whole nor told.
fn check(disk: &SimVfs, told: &Told, what: &str) -> Vec<u64> {
    let mut store = open_store(disk);
    let found = store.recover().unwrap_or_else(|error| panic!("{what}: {error}"));
    let found: Vec<u64> = indexes(&found);
    assert!(
        found.iter().all(|index| told.there.contains(index) || told.open.contains(index)),
        "{what}: {found:?}"
    );
    assert!(told.there.iter().all(|index| found.contains(index)), "{what}: {found:?} of {:?}", told.there);
    for index in &found {
        assert_eq!(read(&mut store, *index).unwrap(), content(*index), "{what}");
    }
    assert_eq!(disk.files().len(), found.len(), "{what}: what was left behind is removed");
    found
}

#[test]
fn power_lost_at_every_operation_leaves_each_snapshot_whole_or_absent_and_what_was_published() {
    let whole = SimVfs::new();
    let mut told = Told::default();
    run(&whole, &mut told).unwrap();
    assert_eq!(told.there, [15, 26]);
    let operations = whole.operations();
    assert!(operations > 60, "{operations}");
    for at in 0..operations {
        for seed in 0..16 {
            let disk = SimVfs::new();
            disk.inject(Fault::power_off_at(at));
            let mut told = Told::default();
            assert!(run(&disk, &mut told).is_err(), "the power went at {at}");
            disk.power_loss(at * 64 + seed);
            // Some of them lose it once more on the way up.
            if seed % 2 == 0 {
                disk.inject(Fault::power_off_at(seed / 2));
                if open_store(&disk).recover().is_err() {
                    disk.power_loss(at * 64 + seed + 32);
                }
                disk.clear_faults();
            }
            let what = format!("at {at}, seed {seed}");
            let found = check(&disk, &told, &what);
            // What recovery showed stays: the next loss of power takes nothing of it.
            disk.power_loss(seed);
            assert_eq!(check(&disk, &told, &what), found, "{what}");
            publish(&mut open_store(&disk), 40).unwrap();
        }
    }
}

#[test]
fn a_process_killed_at_every_operation_leaves_each_snapshot_whole_or_absent() {
    let whole = SimVfs::new();
    run(&whole, &mut Told::default()).unwrap();
    for at in 0..whole.operations() {
        let disk = SimVfs::new();
        disk.inject(Fault::power_off_at(at));
        let mut told = Told::default();
        assert!(run(&disk, &mut told).is_err());
        disk.kill();
        let found = check(&disk, &told, &format!("at {at}"));
        disk.power_loss(at);
        assert_eq!(check(&disk, &told, &format!("at {at}")), found);
    }
}
