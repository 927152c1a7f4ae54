//! How two systems compare: a ratio for each round, in which both met the same machine, then the median.

use serde::Serialize;

/// Ours over theirs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Ratio {
    /// Of rounds that both have; `None` if there is none.
    pub(crate) fn paired(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let mut ratios: Vec<f64> = pairs
            .into_iter()
            .filter(|(_, theirs)| *theirs > 0.0)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        ratios.sort_by(f64::total_cmp);
        let (min, max) = (*ratios.first()?, *ratios.last()?);
        Some(Self { median: median(&ratios)?, min, max })
    }

    /// Whether a claim of being faster may stand on it: in every round, and by a tenth in the middle one.
    pub(crate) fn is_faster(&self) -> bool {
        self.min > 1.0 && self.median >= 1.1
    }
}

/// The middle of some numbers, the mean of both if there are two.
pub(crate) fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = if sorted.len().is_multiple_of(2) { sorted[sorted.len() / 2 - 1] } else { upper };
    Some(lower.midpoint(upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_ratios_and_not_the_ratio_of_medians() {
        let ratio = Ratio::paired([(10.0, 1.0), (20.0, 10.0), (30.0, 10.0)]).expect("three rounds");
        assert_eq!((ratio.median, ratio.min, ratio.max), (3.0, 2.0, 10.0));
    }

    #[test]
    fn one_lost_round_takes_the_claim_away() {
        let won = Ratio { median: 2.0, min: 1.1, max: 3.0 };
        assert!(won.is_faster());
        assert!(!Ratio { min: 0.9, ..won }.is_faster());
        assert!(!Ratio { median: 1.05, min: 1.01, max: 3.0 }.is_faster());
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(median(&[]), None);
        assert_eq!(Ratio::paired([(1.0, 0.0)]), None);
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }
}
