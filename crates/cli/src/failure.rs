//! What went wrong, for people as one line and for programs as one JSON object.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use serde::Serialize;

use crate::page::{self, plain};

/// Exit status when ringfence itself failed or was called wrongly.
pub(crate) const EXIT_FAILED: u8 = 125;
/// Exit status when a run is refused: the policy is invalid, or a rule cannot be enforced.
pub(crate) const EXIT_REFUSED: u8 = 126;

/// Why the command line could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// The arguments do not fit the definition of the command line.
    #[error("{message}")]
    Usage {
        /// What does not fit.
        message: String,
        /// What would.
        advice: String,
    },
    /// A file that would be written exists.
    #[error("{} exists", .path.display())]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", .path.display())]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Standard output cannot be written, other than because its reader has gone.
    #[error("cannot write to standard output: {source}")]
    WriteOutput {
        /// What the system said.
        source: io::Error,
    },
}

impl Failure {
    /// Returns the failure that stands for arguments that clap refused.
    pub(crate) fn usage(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let complaint = text.split("\nUsage:").next().unwrap_or_default();
        let complaint = complaint
            .split("\nFor more information")
            .next()
            .unwrap_or_default();
        let complaint = complaint.strip_prefix("error: ").unwrap_or(complaint);
        let mut parts = complaint.split("\n  tip: ").map(one_line);
        let message = match error.kind() {
            // clap prints the whole help page here.
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                "a subcommand is missing".to_owned()
            }
            _ => parts.next().unwrap_or_default(),
        };
        // clap proposes to pass a mistyped flag as the command, which would run without the rule it should have set.
        let mut advice: Vec<String> = parts.filter(|tip| !tip.starts_with("to pass ")).collect();
        advice.push("see --help".to_owned());
        Self::Usage {
            message,
            advice: advice.join("; "),
        }
    }

    /// Returns the stable code of the failure: docs/cli.md lists them all.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Usage { .. } => "usage",
            Self::FileExists { .. } => "file-exists",
            Self::WriteFile { .. } => "write-file",
            Self::WriteOutput { .. } => "write-output",
        }
    }

    /// Returns the exit status that the failure ends ringfence with.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Usage { .. }
            | Self::FileExists { .. }
            | Self::WriteFile { .. }
            | Self::WriteOutput { .. } => EXIT_FAILED,
        }
    }

    /// Returns the failure in the shape that is printed.
    pub(crate) fn report(&self) -> Report {
        let report = Report {
            code: self.code(),
            message: self.to_string(),
            path: None,
            line: None,
            column: None,
            advice: None,
        };
        match self {
            Self::Usage { advice, .. } => Report {
                advice: Some(advice.clone()),
                ..report
            },
            Self::FileExists { path } => Report {
                path: Some(lossy(path)),
                advice: Some("give another name, or --force to replace it".to_owned()),
                ..report
            },
            Self::WriteFile { path, .. } => Report {
                path: Some(lossy(path)),
                ..report
            },
            Self::WriteOutput { .. } => report,
        }
    }
}

/// A failure as it is printed: the fields of the JSON object, and the parts of the line.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Stable, kebab-case.
    pub code: &'static str,
    /// What and where.
    pub message: String,
    /// The file that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line in that file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in that line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Report {
    /// Prints the report on standard error, as a line for people or as a JSON object.
    ///
    /// An error while printing is dropped: there is no third place to tell it, and the exit status still tells of the
    /// failure.
    pub(crate) fn print(&self, json: bool) {
        let mut stream = anstream::stderr().lock();
        let _ = if json {
            writeln!(stream, "{}", self.json())
        } else {
            let style = page::BAD;
            writeln!(
                stream,
                "ringfence: {style}error[{}]{style:#}: {}",
                self.code,
                self.line_for_people()
            )
        };
    }

    fn line_for_people(&self) -> String {
        let message = plain(&self.message);
        match &self.advice {
            Some(advice) => format!("{message}; {}", plain(advice)),
            None => message,
        }
    }

    fn json(&self) -> String {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: &'a Report,
        }
        // Strings, numbers and nothing else: there is no value here that JSON lacks.
        serde_json::to_string(&Envelope { error: self }).unwrap_or_default()
    }
}

/// A path that is not Unicode is told in its lossy form: JSON knows no other strings.
fn lossy(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
