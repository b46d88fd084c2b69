//! Why a single value of a policy is refused.

use thiserror::Error;

use crate::printable::printable;

/// Why a single value of a policy (or of a flag that overrides it) is refused. The message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Not one of a closed set of words.
    #[error("`{}` is not one of {}{}", printable(.text), quoted(.known), did_you_mean(.suggestion))]
    UnknownWord {
        /// What was written.
        text: String,
        /// The nearest known word, if one is near.
        suggestion: Option<&'static str>,
        /// All of them.
        known: &'static [&'static str],
    },
    /// Not a duration.
    #[error(
        "`{}` is no duration: {problem}; write a whole number and a unit (ms, s, m, h, d), \
         such as \"90s\", \"10m\" or \"1h30m\"",
        printable(.text)
    )]
    Duration {
        /// What was written.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Not a size.
    #[error(
        "`{}` is no size: {problem}; write a whole number and a unit (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB), \
         such as \"512MiB\" or \"4GiB\"",
        printable(.text)
    )]
    Size {
        /// What was written.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Not a number of processors.
    #[error(
        "`{}` is no number of processors: {problem}; write a number from 0.001 to 4096, such as 2.0", printable(.text)
    )]
    Cpus {
        /// What was written.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Not a count.
    #[error("`{text}` is no number of processes: write a whole number from 1 to 4194304, such as 256")]
    Count {
        /// What was written.
        text: String,
    },
    /// Not the name of an environment variable.
    #[error(
        "`{}` names no environment variable: {problem}; write a name such as \"PATH\" or a prefix such as \"LC_*\"", printable(.text)
    )]
    Variable {
        /// What was written.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Not the value of an environment variable.
    #[error("the value of `{}` holds a NUL character, which no environment can carry: remove it", printable(.name))]
    VariableValue {
        /// The variable.
        name: String,
    },
    /// Not the address of a proxy.
    #[error(
        "`{}` names no HTTP proxy: {problem}; write \"http://host:port\", such as \"http://proxy.example:3128\"", printable(.text)
    )]
    Upstream {
        /// What was written.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl ValueError {
    /// The stable name of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownWord { .. } => "unknown-word",
            Self::Duration { .. } => "invalid-duration",
            Self::Size { .. } => "invalid-size",
            Self::Cpus { .. } => "invalid-cpus",
            Self::Count { .. } => "invalid-count",
            Self::Variable { .. } => "invalid-variable",
            Self::VariableValue { .. } => "invalid-variable-value",
            Self::Upstream { .. } => "invalid-upstream",
        }
    }

    pub(crate) fn unknown_word(text: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownWord { text: text.to_owned(), suggestion: nearest(text, known), known }
    }
}

/// The known word that `text` was probably meant to be.
pub(crate) fn nearest<'k>(text: &str, known: &[&'k str]) -> Option<&'k str> {
    // A word of thousands of characters is no typing error, and the distance is quadratic.
    if text.len() > 64 {
        return None;
    }
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&text.to_lowercase(), word), *word))
        .filter(|(distance, word)| *distance <= 1 + word.chars().count() / 4)
        .min()
        .map(|(_, word)| word)
}

pub(crate) fn did_you_mean(suggestion: &Option<impl AsRef<str>>) -> String {
    suggestion.as_ref().map_or_else(String::new, |word| format!("; did you mean `{}`?", word.as_ref()))
}

pub(crate) fn quoted(words: &[impl AsRef<str>]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}
