//! Votes counted: pure, and the same whatever their order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What of the grades is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decide {
    /// The one in the middle.
    #[default]
    Median,
    /// The one that was given most often.
    Majority,
}

/// What is done where two grades have the same right. With `compare` it is a tie unless the item is to fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tie {
    /// The lower one.
    #[default]
    Low,
    /// The higher one.
    High,
    /// The item fails with `tie`.
    Fail,
}

/// Which of two is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Winner {
    A,
    B,
    Tie,
}

/// The grade, of at least one; `None`: a tie that shall be none.
pub(crate) fn grade(grades: &[i64], decide: Decide, tie: Tie) -> Option<i64> {
    let mut sorted = grades.to_vec();
    sorted.sort_unstable();
    let (low, high) = match decide {
        Decide::Median => (*sorted.get((sorted.len().max(1) - 1) / 2)?, *sorted.get(sorted.len() / 2)?),
        Decide::Majority => {
            let most = sorted.iter().map(|grade| count(&sorted, grade)).max()?;
            let mut best = sorted.iter().filter(|grade| count(&sorted, *grade) == most);
            let low = *best.next()?;
            (low, best.next_back().copied().unwrap_or(low))
        }
    };
    match tie {
        _ if low == high => Some(low),
        Tie::Low => Some(low),
        Tie::High => Some(high),
        Tie::Fail => None,
    }
}

/// The one that more votes prefer; votes for a tie count for neither. `None`: a tie that shall be none.
pub(crate) fn winner(votes: &[Winner], tie: Tie) -> Option<Winner> {
    let (a, b) = (count(votes, &Winner::A), count(votes, &Winner::B));
    match a.cmp(&b) {
        std::cmp::Ordering::Greater => Some(Winner::A),
        std::cmp::Ordering::Less => Some(Winner::B),
        std::cmp::Ordering::Equal if tie == Tie::Fail => None,
        std::cmp::Ordering::Equal => Some(Winner::Tie),
    }
}

/// A vote of two questions: who wins in one order alone does so by its place.
pub(crate) const fn both_orders(straight: Winner, swapped: Winner) -> Winner {
    match (straight, swapped) {
        (Winner::A, Winner::A) => Winner::A,
        (Winner::B, Winner::B) => Winner::B,
        _ => Winner::Tie,
    }
}

/// The share of votes that say what was decided.
#[expect(clippy::cast_precision_loss, reason = "there are few votes")]
pub(crate) fn agreement<V: PartialEq>(votes: &[V], decided: &V) -> f64 {
    count(votes, decided) as f64 / votes.len().max(1) as f64
}

fn count<V: PartialEq>(votes: &[V], vote: &V) -> usize {
    votes.iter().filter(|other| *other == vote).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_between_two_the_tie_rule_decides() {
        assert_eq!(grade(&[5, 1, 2], Decide::Median, Tie::Fail), Some(2));
        assert_eq!(grade(&[4], Decide::Median, Tie::Fail), Some(4));
        assert_eq!(grade(&[1, 5, 3, 3], Decide::Median, Tie::Fail), Some(3));
        let even = [5, 1, 2, 4];
        assert_eq!(grade(&even, Decide::Median, Tie::Low), Some(2));
        assert_eq!(grade(&even, Decide::Median, Tie::High), Some(4));
        assert_eq!(grade(&even, Decide::Median, Tie::Fail), None);
        assert_eq!(grade(&[], Decide::Median, Tie::Low), None);
    }

    #[test]
    fn the_majority_is_what_most_say() {
        assert_eq!(grade(&[5, 1, 5], Decide::Majority, Tie::Fail), Some(5));
        assert_eq!(grade(&[5, 1, 3, 1, 5], Decide::Majority, Tie::Low), Some(1));
        assert_eq!(grade(&[5, 1, 3, 1, 5], Decide::Majority, Tie::High), Some(5));
        assert_eq!(grade(&[5, 1], Decide::Majority, Tie::Fail), None);
        assert_eq!(grade(&[2, 2], Decide::Majority, Tie::Fail), Some(2));
        assert_eq!(grade(&[], Decide::Majority, Tie::Low), None);
    }

    #[test]
    fn of_two_answers_the_one_that_more_prefer_wins() {
        use Winner::{A, B, Tie as None_};
        assert_eq!(winner(&[A, None_, None_], Tie::Fail), Some(A));
        assert_eq!(winner(&[A, B, B], Tie::Low), Some(B));
        assert_eq!(winner(&[A, B, None_], Tie::High), Some(None_));
        assert_eq!(winner(&[A, B], Tie::Fail), None);
        assert_eq!(
            [both_orders(A, A), both_orders(B, B), both_orders(A, B), both_orders(A, None_)],
            [A, B, None_, None_]
        );
    }

    #[test]
    fn agreement_is_the_share_that_says_the_same() {
        assert!((agreement(&[1, 1, 2, 3], &1) - 0.5).abs() < 1e-9);
        assert!(agreement::<i64>(&[], &1).abs() < 1e-9);
    }
}
