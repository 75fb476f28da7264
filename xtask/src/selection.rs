//! Which tests to run: a suite, a crate and filters, any of which may be left out.

use clap::ValueEnum;

/// A kind of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// Tests beside the code.
    Unit,
    /// Tests in each crate's `tests` directory.
    Integration,
}

/// What is to be run. Nothing named means everything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) suites: Vec<Suite>,
    pub(crate) packages: Vec<String>,
    pub(crate) filters: Vec<String>,
}

impl Selection {
    /// Adds words in the order `[SUITE] [CRATE] [FILTER]...`; a word that names no suite and no crate begins the filters.
    pub(crate) fn add_words(&mut self, words: &[String], packages_known: &[String]) {
        let mut words = words.iter().peekable();
        if let Some(suite) = words.peek().and_then(|word| Suite::from_str(word, false).ok()) {
            self.suites.push(suite);
            words.next();
        }
        if let Some(package) = words.next_if(|word| packages_known.contains(word)) {
            self.packages.push(package.clone());
        }
        self.filters.extend(words.cloned());
    }

    /// The arguments of `cargo test`, with more for the tests themselves.
    pub(crate) fn cargo_arguments(&self, has_library: impl Fn(&str) -> bool, more: &[&str]) -> Vec<String> {
        let mut arguments = Vec::new();
        for package in &self.packages {
            arguments.extend(["--package".into(), package.clone()]);
        }
        if self.packages.is_empty() {
            arguments.push("--workspace".into());
        }
        if self.suites.contains(&Suite::Unit) {
            arguments.push("--bins".into());
            // Cargo refuses `--lib` for a crate that has no library.
            if self.packages.is_empty() || self.packages.iter().any(|package| has_library(package)) {
                arguments.push("--lib".into());
            }
        }
        if self.suites.contains(&Suite::Integration) {
            arguments.extend(["--test".into(), "*".into()]);
        }
        let more = more.iter().map(ToString::to_string);
        let for_tests: Vec<_> = self.filters.iter().cloned().chain(more).collect();
        if !for_tests.is_empty() {
            arguments.push("--".into());
            arguments.extend(for_tests);
        }
        arguments
    }

    /// Whether any of the tests may ask for PostgreSQL. Tests beside the code need no server.
    pub(crate) fn wants_postgres(&self) -> bool {
        self.suites != [Suite::Unit]
    }

    /// Whether any of the tests may render a kustomization. They are in the `brokkr` crate.
    pub(crate) fn wants_kubectl(&self) -> bool {
        self.wants_integration_of(&["brokkr"])
    }

    /// Whether any of the tests may look at a page.
    pub(crate) fn wants_browser(&self) -> bool {
        self.wants_integration_of(&["brokkr", "brokkr-testkit-browser"])
    }

    /// Whether any of the tests may verify what webhooks are told. They are in the `brokkr` crate.
    pub(crate) fn wants_standard_webhooks(&self) -> bool {
        self.wants_integration_of(&["brokkr"])
    }

    fn wants_integration_of(&self, packages: &[&str]) -> bool {
        let of_them =
            self.packages.is_empty() || self.packages.iter().any(|package| packages.contains(&&**package));
        self.suites != [Suite::Unit] && of_them
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(words: &[&str]) -> Selection {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let mut selection = Selection::default();
        selection.add_words(&words, &["brokkr".into(), "brokkr-broker".into()]);
        selection
    }

    #[test]
    fn a_suite_a_crate_and_a_filter_run_just_those_tests() {
        let arguments =
            selection(&["integration", "brokkr-broker", "work_orders"]).cargo_arguments(|_| true, &[]);
        assert_eq!(
            arguments.join(" "),
            "--package brokkr-broker --test * -- work_orders"
        );
    }

    #[test]
    fn no_word_runs_everything() {
        assert_eq!(selection(&[]).cargo_arguments(|_| true, &[]), ["--workspace"]);
    }

    #[test]
    fn a_word_that_is_neither_suite_nor_crate_is_a_filter() {
        let selection = selection(&["claims", "brokkr-broker"]);
        assert_eq!(selection.filters, ["claims", "brokkr-broker"]);
        assert!(selection.packages.is_empty());
    }

    #[test]
    fn unit_tests_of_a_crate_without_library_are_those_of_its_program() {
        let selection = selection(&["unit", "brokkr"]);
        assert_eq!(
            selection.cargo_arguments(|_| false, &[]),
            ["--package", "brokkr", "--bins"]
        );
        assert!(!selection.wants_postgres());
        assert!(!selection.wants_browser());
    }
}
