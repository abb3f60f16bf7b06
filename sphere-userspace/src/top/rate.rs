//! How fast counters grow.

use std::cmp::Ordering;
use std::time::Duration;

/// A counter: where it stands, and how fast it grows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Where it stands.
    pub total: u64,
    /// How much it grew in a second; absent as long as it was read only once.
    pub per_second: Option<f64>,
}

impl Rate {
    /// Whether it grows.
    #[must_use]
    pub fn grows(&self) -> bool {
        self.per_second.is_some_and(|rate| rate > 0.0)
    }

    /// The faster one first, and of two that are as fast the one that stands higher.
    #[must_use]
    pub fn by_speed(&self, other: &Self) -> Ordering {
        let [own, others] = [self, other].map(|rate| rate.per_second.unwrap_or_default());
        others.total_cmp(&own).then(other.total.cmp(&self.total))
    }

    /// Both counters as one.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let per_second = match (self.per_second, other.per_second) {
            (Some(own), Some(others)) => Some(own + others),
            (own, others) => own.or(others),
        };
        Self { total: self.total.saturating_add(other.total), per_second }
    }
}

/// Time between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(pub Duration);

impl Elapsed {
    /// A counter that was read twice. One that stands lower than before began anew, and all it has came since.
    #[must_use]
    pub fn rate(self, earlier: u64, later: u64) -> Rate {
        self.grown(later.checked_sub(earlier).unwrap_or(later), later)
    }

    /// A counter that grew by so much.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody sees the sixteenth digit of a rate")]
    pub fn grown(self, by: u64, total: u64) -> Rate {
        let per_second = (!self.0.is_zero()).then(|| by as f64 / self.0.as_secs_f64());
        Rate { total, per_second }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_by_second_and_a_counter_that_began_anew_gives_what_it_has() {
        let two = Elapsed(Duration::from_secs(2));
        assert_eq!(two.rate(10, 15), Rate { total: 15, per_second: Some(2.5) });
        assert_eq!(two.rate(10, 4), Rate { total: 4, per_second: Some(2.0) });
        assert_eq!(two.rate(u64::MAX, 0), Rate { total: 0, per_second: Some(0.0) });
        assert_eq!(Elapsed(Duration::ZERO).rate(1, 3), Rate { total: 3, per_second: None });
    }

    #[test]
    fn the_faster_comes_first_then_the_higher() {
        let mut rates = [(5, Some(1.0)), (9, None), (7, Some(2.0)), (9, Some(1.0))]
            .map(|(total, per_second)| Rate { total, per_second });
        rates.sort_by(Rate::by_speed);
        assert_eq!(rates.map(|rate| rate.total), [7, 9, 5, 9]);
    }
}
