//! What the checkers must agree with, said as plainly as possible and without regard to time.

use crate::{
    sim::{
        history::{Action, History, Operation, Outcome},
        kv::Kv,
    },
    state_machine::StateMachine,
    types::{LogId, LogIndex},
};

/// Whether any order of the operations that keeps real time gives every client what it was told, with those of
/// unknown outcome anywhere after they were invoked or nowhere. Tries them all, on the real state machine.
pub(crate) fn is_linearizable(history: &History<Kv>) -> bool {
    let counts = |operation: &&Operation<Kv>| match operation.outcome {
        Outcome::Refused => false,
        Outcome::Unknown => matches!(operation.action, Action::Apply(_)),
        _ => true,
    };
    can_go_on(&Kv::default(), &history.operations().iter().filter(counts).collect::<Vec<_>>())
}

fn can_go_on(kv: &Kv, rest: &[&Operation<Kv>]) -> bool {
    let must = |operation: &&&Operation<Kv>| !matches!(operation.outcome, Outcome::Unknown);
    let Some(first_to_return) = rest.iter().filter(must).filter_map(|operation| operation.returned).min()
    else {
        return true;
    };
    rest.iter().enumerate().filter(|(_, operation)| operation.invoked < first_to_return).any(
        |(n, operation)| {
            let mut kv = kv.clone();
            let mut others = rest.to_vec();
            others.remove(n);
            says_what_was_told(&mut kv, operation) && can_go_on(&kv, &others)
        },
    )
}

fn says_what_was_told(kv: &mut Kv, operation: &Operation<Kv>) -> bool {
    match (&operation.action, &operation.outcome) {
        (Action::Apply(command), outcome) => {
            let replayed = kv.apply(LogId::ZERO, command.clone());
            !matches!(outcome, Outcome::Applied { reply, .. } if *reply != replayed)
        }
        (Action::Query(query), Outcome::Answered { answer, .. }) => kv.query(query.clone()) == *answer,
        _ => true,
    }
}

/// Whether each pair of operations of which one returned before the other was invoked stands in that order.
pub(crate) fn keeps_real_time(history: &History<Kv>, log: &[(LogId, u64)]) -> bool {
    let operations = history.operations();
    let stands = |operation: &Operation<Kv>| -> Option<LogIndex> {
        log.iter().find(|entry| entry.1 == operation.id).map(|entry| entry.0.index)
    };
    let is_kept = |earlier: &Operation<Kv>, later: &Operation<Kv>| {
        let over = match earlier.outcome {
            Outcome::Applied { at, .. } => at.index,
            Outcome::Answered { at, .. } => at,
            Outcome::Refused | Outcome::Unknown => return true,
        };
        match later.outcome {
            Outcome::Answered { at, .. } => over <= at,
            _ => stands(later).is_none_or(|at| over < at),
        }
    };
    let returned_before = |earlier: &Operation<Kv>, later: &Operation<Kv>| {
        earlier.returned.is_some_and(|returned| returned < later.invoked)
    };
    operations.iter().all(|earlier| {
        operations.iter().filter(|later| returned_before(earlier, later)).all(|later| is_kept(earlier, later))
    })
}
