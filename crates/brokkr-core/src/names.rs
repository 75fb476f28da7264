//! Names that people give to things. Each is checked once, where it enters, and is valid from then on.

use std::fmt;

/// Why a text is not a valid name. `what` is the thing that was named, as people call it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or nothing but white space.
    #[error("{what} must not be blank")]
    Blank {
        /// The thing that was named.
        what: &'static str,
    },
    /// More characters than the thing may have.
    #[error("{what} must have at most {characters_max} characters, not {characters}")]
    TooLong {
        /// The thing that was named.
        what: &'static str,
        /// The bound.
        characters_max: usize,
        /// What was found.
        characters: usize,
    },
    /// A character that would make the name ambiguous or that a database cannot keep.
    #[error("{what} must not contain {found}")]
    Forbidden {
        /// The thing that was named.
        what: &'static str,
        /// The kind of character, in words.
        found: &'static str,
    },
}

/// Counts characters as people do (Unicode scalar values), because the contract's bounds are in characters.
fn check(text: &str, what: &'static str, characters_max: usize, whitespace: bool) -> Result<(), NameError> {
    if text.trim().is_empty() {
        return Err(NameError::Blank { what });
    }
    let characters = text.chars().count();
    if characters > characters_max {
        return Err(NameError::TooLong {
            what,
            characters_max,
            characters,
        });
    }
    if text.contains('\0') {
        return Err(NameError::Forbidden {
            what,
            found: "a NUL character",
        });
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Forbidden {
            what,
            found: "control characters",
        });
    }
    if !whitespace && text.chars().any(char::is_whitespace) {
        return Err(NameError::Forbidden {
            what,
            found: "white space",
        });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, whitespace: $whitespace:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The most characters that it may have.
            pub const CHARACTERS_MAX: usize = $max;

            /// Checks `text` and keeps it as it is.
            ///
            /// # Errors
            /// [`NameError`] says what is wrong with it, in a sentence for the person who chose it.
            pub fn parse(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check(&text, $what, $max, $whitespace)?;
                Ok(Self(text))
            }

            /// The name as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name as an owned text.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// What kind of work an order is (`command`, `custom`, `build`, or a word of the user's own). 1 to 50 characters.
    WorkType, "work_type", 50, whitespace: false
}
name! {
    /// What people call an agent. 1 to 255 characters; unique together with its cluster's name.
    AgentName, "the agent's name", 255, whitespace: true
}
name! {
    /// What people call the cluster or host that an agent lives in. 1 to 255 characters.
    ClusterName, "cluster_name", 255, whitespace: true
}
name! {
    /// What people call a generator. 1 to 255 characters.
    GeneratorName, "the generator's name", 255, whitespace: true
}
name! {
    /// What people call an administrator's or a viewer's key. 1 to 255 characters.
    KeyName, "the key's name", 255, whitespace: true
}
name! {
    /// One label of an agent, matched exactly. 1 to 64 characters without white space.
    Label, "a label", 64, whitespace: false
}
name! {
    /// The key of an agent's annotation. 1 to 64 characters without white space; an agent has one value per key.
    AnnotationKey, "an annotation's key", 64, whitespace: false
}
name! {
    /// The value of an agent's annotation. 1 to 64 characters without white space.
    AnnotationValue, "an annotation's value", 64, whitespace: false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_64_characters_is_the_longest() {
        assert!(Label::parse("ä".repeat(64)).is_ok());
        assert_eq!(
            Label::parse("x".repeat(65)),
            Err(NameError::TooLong {
                what: "a label",
                characters_max: 64,
                characters: 65
            })
        );
    }

    #[test]
    fn blank_names_are_refused() {
        assert_eq!(WorkType::parse("  "), Err(NameError::Blank { what: "work_type" }));
        assert_eq!(WorkType::parse(""), Err(NameError::Blank { what: "work_type" }));
    }

    #[test]
    fn white_space_is_refused_where_names_are_matched_and_kept_where_people_read_them() {
        assert!(Label::parse("two words").is_err());
        assert!(AnnotationValue::parse("a\u{a0}b").is_err());
        assert!(AgentName::parse("the first agent").is_ok());
    }

    #[test]
    fn characters_that_databases_or_terminals_choke_on_are_refused() {
        assert!(AgentName::parse("a\0b").is_err());
        assert!(AgentName::parse("a\u{1b}[31m").is_err());
    }

    #[test]
    fn a_sentence_names_the_thing_and_the_bound() {
        let sentence = Label::parse("x".repeat(70)).expect_err("too long").to_string();
        assert_eq!(sentence, "a label must have at most 64 characters, not 70");
    }
}
