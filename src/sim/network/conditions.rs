//! What a direction does to what travels it, and what that comes to for one message.
//!
//! Pure: randomness is an argument. Whatever the conditions are, a message draws from a generator of its
//! own and always in the same order, so that one fault more or less leaves all others where they were.

use std::time::Duration;

use fastrand::Rng;

/// How long somebody waits before taking silence for a loss.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(3));
/// Of the copies, this part is not delivered beside its original but long after.
const LATE: f64 = 0.125;
/// How much later.
const LATER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A message out of order may take this many times the longest latency more, and at least [`STRAGGLE_MIN`].
const STRAGGLE_LATENCIES: u32 = 4;
/// Less would be lost in the milliseconds that timers count in.
const STRAGGLE_MIN: Duration = Duration::from_millis(5);

/// What one direction between two addresses is like. Probabilities are per message, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// The shortest time a message travels.
    pub latency_min: Duration,
    /// The longest.
    pub latency_max: Duration,
    /// How probably a message, and all that is sent after it on its connection, is late by `spike`.
    pub spike_probability: f64,
    /// How late.
    pub spike: Duration,
    /// How probably it vanishes. Who waits for the answer hears so only 0.3 to 3 s later.
    pub loss: f64,
    /// How probably a request is delivered twice: mostly soon, one time in eight up to 30 s later. What
    /// nodes say to each other is safe to repeat; a forwarded command is not, and never is.
    pub duplication: f64,
    /// How probably it leaves the order of its connection, and is overtaken or overtakes.
    pub reordering: f64,
    /// How probably 1 to 8 bits of its frame flip.
    pub corruption: f64,
    /// How probably its connection breaks under it.
    pub reset: f64,
}

impl Default for Conditions {
    /// 0.2 to 2 ms, and no fault.
    fn default() -> Self {
        Self {
            latency_min: Duration::from_micros(200),
            latency_max: Duration::from_millis(2),
            spike_probability: 0.0,
            spike: Duration::from_millis(500),
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            corruption: 0.0,
            reset: 0.0,
        }
    }
}

/// What was drawn for one message.
#[derive(Debug)]
pub(super) struct Fate {
    /// How long it travels, with a spike if there is one.
    pub(super) travel: Duration,
    pub(super) spiked: bool,
    /// It leaves the order and takes this much longer.
    pub(super) straggle: Option<Duration>,
    pub(super) lost: bool,
    pub(super) reset: bool,
    /// A request comes once more.
    pub(super) copy: Option<Again>,
    /// Its frame is damaged; where, this tells.
    pub(super) damage: Option<Rng>,
    /// How long its sender waits if it is lost, or its answer.
    pub(super) patience: Duration,
}

/// When a copy of a request arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// So long after the original, on its connection.
    Soon(Duration),
    /// So long after it was sent, whatever has become of its connection.
    Late(Duration),
}

impl Fate {
    /// Draws everything from `rng`, which is the message's own.
    pub(super) fn draw(conditions: &Conditions, mut rng: Rng) -> Self {
        let latency = (conditions.latency_min, conditions.latency_max);
        let spiked = rng.f64() < conditions.spike_probability;
        let travel = between(latency, &mut rng) + if spiked { conditions.spike } else { Duration::ZERO };
        let reordered = rng.f64() < conditions.reordering;
        let straggle_max = (conditions.latency_max * STRAGGLE_LATENCIES).max(STRAGGLE_MIN);
        let straggle = between((Duration::ZERO, straggle_max), &mut rng);
        let lost = rng.f64() < conditions.loss;
        let reset = rng.f64() < conditions.reset;
        let copied = rng.f64() < conditions.duplication;
        let is_late = rng.f64() < LATE;
        let (soon, later) = (between(latency, &mut rng), between(LATER, &mut rng));
        let patience = between(PATIENCE, &mut rng);
        let damaged = rng.f64() < conditions.corruption;
        Self {
            travel,
            spiked,
            straggle: reordered.then_some(straggle),
            lost,
            reset,
            copy: copied.then_some(if is_late { Again::Late(later) } else { Again::Soon(soon) }),
            damage: damaged.then_some(rng),
            patience,
        }
    }
}

fn between((min, max): (Duration, Duration), rng: &mut Rng) -> Duration {
    min + max.saturating_sub(min).mul_f64(rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUGH: Conditions = Conditions {
        latency_min: Duration::from_millis(1),
        latency_max: Duration::from_millis(9),
        spike_probability: 0.1,
        spike: Duration::from_secs(1),
        loss: 0.1,
        duplication: 0.1,
        reordering: 0.1,
        corruption: 0.1,
        reset: 0.1,
    };

    fn fates(conditions: &Conditions) -> Vec<Fate> {
        let mut rng = Rng::with_seed(1);
        (0..10_000).map(|_| Fate::draw(conditions, rng.fork())).collect()
    }

    #[test]
    fn each_fault_is_drawn_at_its_rate() {
        let fates = fates(&ROUGH);
        let rates = [
            fates.iter().filter(|fate| fate.spiked).count(),
            fates.iter().filter(|fate| fate.lost).count(),
            fates.iter().filter(|fate| fate.reset).count(),
            fates.iter().filter(|fate| fate.straggle.is_some()).count(),
            fates.iter().filter(|fate| fate.copy.is_some()).count(),
            fates.iter().filter(|fate| fate.damage.is_some()).count(),
        ];
        assert!(rates.iter().all(|rate| (900..1100).contains(rate)), "{rates:?}");
    }

    #[test]
    fn without_faults_a_message_just_travels() {
        for fate in fates(&Conditions::default()) {
            assert!((Duration::from_micros(200)..=Duration::from_millis(2)).contains(&fate.travel));
            assert!(!fate.spiked && !fate.lost && !fate.reset);
            assert!(fate.straggle.is_none() && fate.copy.is_none() && fate.damage.is_none());
        }
    }

    #[test]
    fn a_fault_switched_off_leaves_the_others_where_they_were() {
        let told = |conditions: &Conditions| -> Vec<_> {
            let fates = fates(conditions);
            fates
                .iter()
                .map(|fate| (fate.travel, fate.straggle, fate.copy, fate.reset, fate.patience))
                .collect()
        };
        assert_eq!(told(&ROUGH), told(&Conditions { loss: 0.0, corruption: 0.0, ..ROUGH }));
    }
}
