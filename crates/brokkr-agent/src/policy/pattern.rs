//! Patterns of names: `*` stands for any number of characters.

use std::fmt;

/// A name, or several of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Whether the whole text is meant.
    pub(super) fn matches(&self, text: &str) -> bool {
        matches(&self.0, text, |_| true)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the whole text fits the pattern, where `*` stands for any number of characters that `stands_for` allows. Takes no
/// longer than the product of both lengths.
pub(super) fn matches(pattern: &str, text: &str, stands_for: impl Fn(char) -> bool) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut open = pattern.contains('*');
    // The first place where a part fits leaves the most for those that follow.
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let place = if last && rest.ends_with(part) {
            Some(rest.len() - part.len())
        } else if last {
            None
        } else {
            rest.find(part)
        };
        let Some(place) = place.filter(|&place| rest[..place].chars().all(&stands_for)) else {
            return false;
        };
        rest = &rest[place + part.len()..];
        open = false;
    }
    !open && rest.is_empty()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("shop", "shop", true)]
    #[case("shop", "shops", false)]
    #[case("shop", "", false)]
    #[case("", "", true)]
    #[case("*", "", true)]
    #[case("*", "anything", true)]
    #[case("team-*", "team-", true)]
    #[case("team-*", "team-a", true)]
    #[case("team-*", "my-team-a", false)]
    #[case("*-dev", "shop-dev", true)]
    #[case("*-dev", "shop-dev-1", false)]
    #[case("a*b*c", "abc", true)]
    #[case("a*b*c", "a-b-b-c", true)]
    #[case("a*b*c", "a-c", false)]
    #[case("aa*aa", "aaa", false)]
    #[case("**", "x", true)]
    fn a_star_stands_for_any_characters(#[case] pattern: &str, #[case] text: &str, #[case] fits: bool) {
        assert_eq!(Pattern::new(pattern).matches(text), fits);
    }

    #[test]
    fn a_star_does_not_pass_what_it_does_not_stand_for() {
        let no_slash = |c| c != '/';
        assert!(matches("a/*/c", "a/b/c", no_slash));
        assert!(!matches("a/*/c", "a/b/b/c", no_slash));
        assert!(!matches("a*", "a/b", no_slash));
    }
}
