//! What a misspelt word may have meant.

/// What a misspelt word may have meant.
pub(super) fn suggestion(word: &str, known: &[impl AsRef<str>]) -> String {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let near = known.iter().map(|candidate| (distance(word, candidate), candidate)).min();
    match near {
        Some((edits, candidate)) if edits <= 2 && edits < candidate.len() => {
            format!("did you mean `{candidate}`? otherwise remove it")
        }
        _ if known.is_empty() => "remove it".to_owned(),
        _ => format!("remove it, or use one of: {}", known.join(", ")),
    }
}

/// The words that are nearest to one, the nearest first: at most so many, and none that has little in common with it.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let lower = word.to_lowercase();
    let edits = |candidate: &'a str| (distance(&lower, &candidate.to_lowercase()), candidate);
    let is_near = |(edits, candidate): &(usize, &str)| *edits <= 2 || (*edits < candidate.len() / 2 && *edits < 9);
    let mut near: Vec<(usize, &str)> = known.into_iter().map(edits).filter(is_near).collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(most).map(|(_, candidate)| candidate).collect()
}

/// Edits between two words (Levenshtein); words beyond 40 bytes are simply far apart.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 40 || b.len() > 40 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let [above, diagonal] = [row.get(j + 1), row.get(j)].map(|cost| cost.copied().unwrap_or(usize::MAX - 1));
            let left = next.last().copied().unwrap_or(usize::MAX - 1);
            next.push((diagonal + usize::from(from != *to)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let known = ["endpoints", "cidrs", "rules"];
        assert_eq!(suggestion("endpoint", &known), "did you mean `endpoints`? otherwise remove it");
        assert_eq!(suggestion("rlues", &known), "did you mean `rules`? otherwise remove it");
        assert_eq!(suggestion("colour", &known), "remove it, or use one of: endpoints, cidrs, rules");
        assert_eq!(suggestion(&"x".repeat(5000), &known), "remove it, or use one of: endpoints, cidrs, rules");
        assert_eq!(suggestion("anything", &[""; 0]), "remove it");
    }
}
