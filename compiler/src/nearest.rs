//! The known name that a mistyped one most likely meant.

/// The nearest of `names`, if any is near enough to be worth naming: up to a
/// third of the letters (at least two) inserted, removed or replaced, or the
/// beginning of a name.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_ascii_lowercase();
    let limit = (wanted.chars().count() / 3).max(2);
    names
        .into_iter()
        .map(|name| {
            let distance = distance(&wanted, &name.to_ascii_lowercase());
            let begins = wanted.len() >= 3 && name.starts_with(&wanted);
            (if begins { distance.min(1) } else { distance }, name)
        })
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, name)| name)
}

/// Levenshtein's distance: insertions, removals and replacements of letters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != *y))
                .min(above + 1)
                .min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn near_names_are_found_and_far_ones_not() {
        let names = ["resnet8", "resnet20", "mobilenet_v2", "fashion-mnist"];
        assert_eq!(nearest("resnet-20", names), Some("resnet20"));
        assert_eq!(nearest("mobilenetv2", names), Some("mobilenet_v2"));
        assert_eq!(nearest("fashion", names), Some("fashion-mnist"));
        assert_eq!(nearest("vgg16", names), None);
    }
}
