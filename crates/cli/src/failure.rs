//! What went wrong, for people as one line and for programs as one JSON object.

use std::error::Error as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use ringfence_policy::{HostError, PolicyError, ValueError};
use serde::Serialize;

use crate::page::{self, plain};

/// Exit status when ringfence itself failed or was called wrongly.
const EXIT_FAILED: u8 = 125;
/// Exit status when a run is refused: the policy is invalid, or a rule cannot be enforced.
const EXIT_REFUSED: u8 = 126;

/// Why the command line could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "the probes of `verify` run on Linux only, so far"))]
#[non_exhaustive]
pub(crate) enum Failure {
    /// The arguments do not fit the definition of the command line.
    #[error("{message}")]
    Usage {
        /// `usage`, or the code of the value that was refused.
        code: &'static str,
        /// What does not fit.
        message: String,
        /// What would.
        advice: String,
    },
    /// The policy is refused.
    #[error(transparent)]
    Policy(Box<PolicyError>),
    /// The engine failed or refused.
    #[error(transparent)]
    Engine(#[from] ringfence::Error),
    /// There is no current directory that relative paths could start from.
    #[error("the current directory cannot be used: {source}; change to one that exists")]
    CurrentDirectory {
        /// What the system said.
        source: io::Error,
    },
    /// Nobody can be asked.
    #[error("--ask needs a terminal to ask on: {source}; leave it away, or allow hosts with --allow")]
    NoTerminal {
        /// What the system said.
        source: io::Error,
    },
    /// A file that would be written exists.
    #[error("`{}` exists; give another name, or --force to replace it", .path.display())]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("`{}` cannot be written: {source}", .path.display())]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of facts cannot be used.
    #[error("the facts in `{}` cannot be used: {problem}", .path.display())]
    Facts {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// Standard output cannot be written, other than because its reader has gone.
    #[error("standard output cannot be written: {source}")]
    WriteOutput {
        /// What the system said.
        source: io::Error,
    },
    /// The probes cannot be set up.
    #[error("the probes cannot be set up: {source}; see that the home directory can be written")]
    Stage {
        /// What the system said.
        source: io::Error,
    },
    /// No probe has such a name.
    #[error("no way out has a name that contains `{filter}`; `ringfence verify` lists them all")]
    NoProbe {
        /// What was asked for.
        filter: String,
    },
    /// An answer cannot be written as JSON.
    #[error("this cannot be written as JSON: {source}; try without --json")]
    Encode {
        /// What the encoder said.
        source: serde_json::Error,
    },
}

impl Failure {
    /// Returns the failure that stands for arguments that clap refused.
    pub(crate) fn usage(error: &clap::Error) -> Self {
        if matches!(error.kind(), ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
            return Self::Usage { code: USAGE, message: "a subcommand is missing".into(), advice: "see --help".into() };
        }
        let text = error.render().to_string();
        let complaint = text.split("\nUsage:").next().unwrap_or_default();
        let complaint = complaint.split("\nFor more information").next().unwrap_or_default();
        let complaint = complaint.strip_prefix("error: ").unwrap_or(complaint);
        let mut parts = complaint.split("\n  tip: ").map(one_line);
        let message = parts.next().unwrap_or_default();
        // clap proposes to pass a mistyped flag as the command, which would run without the rule it should have set.
        let mut advice: Vec<String> = parts.filter(|tip| !tip.starts_with("to pass ")).collect();
        advice.push("see --help".to_owned());
        Self::Usage { code: value_code(error).unwrap_or(USAGE), message, advice: advice.join("; ") }
    }

    /// Every code that [`Self::code`] can return besides those of the engine and the policy.
    #[cfg(test)]
    pub(crate) const CODES: &[&str] = &[
        USAGE,
        "directory-unusable",
        "no-terminal",
        "file-exists",
        "file-unwritable",
        "facts-unusable",
        "output-unwritable",
        "encode-failed",
        "probe-setup-failed",
        "unknown-probe",
    ];

    /// Returns the stable code of the failure: docs/cli.md lists them all.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Usage { code, .. } => code,
            Self::Policy(error) => error.code(),
            Self::Engine(error) => error.code(),
            Self::CurrentDirectory { .. } => "directory-unusable",
            Self::NoTerminal { .. } => "no-terminal",
            Self::FileExists { .. } => "file-exists",
            Self::WriteFile { .. } => "file-unwritable",
            Self::Facts { .. } => "facts-unusable",
            Self::WriteOutput { .. } => "output-unwritable",
            Self::Stage { .. } => "probe-setup-failed",
            Self::NoProbe { .. } => "unknown-probe",
            Self::Encode { .. } => "encode-failed",
        }
    }

    /// Returns the exit status that the failure ends ringfence with.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Policy(_) => EXIT_REFUSED,
            Self::Engine(error) => error.exit_status(),
            Self::Usage { .. }
            | Self::CurrentDirectory { .. }
            | Self::NoTerminal { .. }
            | Self::FileExists { .. }
            | Self::WriteFile { .. }
            | Self::Facts { .. }
            | Self::WriteOutput { .. }
            | Self::Stage { .. }
            | Self::NoProbe { .. }
            | Self::Encode { .. } => EXIT_FAILED,
        }
    }

    /// Returns the failure in the shape that is printed.
    pub(crate) fn report(&self) -> Report {
        let mut report =
            Report { code: self.code(), message: self.to_string(), path: None, line: None, column: None, advice: None };
        match self {
            Self::Usage { advice, .. } => report.advice = Some(advice.clone()),
            Self::Policy(error) => {
                report.path = error.path().map(lossy);
                report.line = error.line();
                report.column = error.column();
            }
            Self::Engine(error) => report.path = error.path().map(lossy),
            Self::FileExists { path } | Self::WriteFile { path, .. } | Self::Facts { path, .. } => {
                report.path = Some(lossy(path))
            }
            Self::CurrentDirectory { .. }
            | Self::NoTerminal { .. }
            | Self::WriteOutput { .. }
            | Self::Stage { .. }
            | Self::NoProbe { .. }
            | Self::Encode { .. } => {}
        }
        report
    }
}

const USAGE: &str = "usage";

/// The code of the value that a flag was given, where the policy crate refused it.
fn value_code(error: &clap::Error) -> Option<&'static str> {
    let source = error.source()?;
    let value = source.downcast_ref::<ValueError>().map(ValueError::code);
    value.or_else(|| source.downcast_ref::<HostError>().map(HostError::code))
}

/// A failure as it is printed: the fields of the JSON object, and the parts of the line.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Stable, kebab-case.
    pub(crate) code: &'static str,
    /// What, where, and mostly what to do.
    pub(crate) message: String,
    /// The file that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// The line in that file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    /// The column in that line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u32>,
    /// What to do, where the message does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
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
            writeln!(stream, "ringfence: {style}error[{}]{style:#}: {}", self.code, self.line_for_people())
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn usage(arguments: &[&str]) -> Report {
        let error = Cli::try_parse_from(["ringfence"].iter().chain(arguments)).unwrap_err();
        Failure::usage(&error).report()
    }

    #[test]
    fn a_mistyped_flag_is_answered_with_the_flag_and_never_with_a_way_around_it() {
        let line = usage(&["run", "--wriet", "x", "true"]).line_for_people();
        assert_eq!(line, "unexpected argument '--wriet' found; a similar argument exists: '--write'; see --help");
    }

    #[test]
    fn a_refused_value_has_the_code_of_the_value() {
        let report = usage(&["run", "--timeout", "soon", "true"]);
        assert_eq!(report.code, "invalid-duration");
        assert!(report.message.contains("'--timeout <DURATION>'"), "{}", report.message);
        assert_eq!(usage(&["run"]).code, "usage");
    }

    #[test]
    fn an_error_is_one_line_whatever_it_is_about() {
        let failure = Failure::FileExists { path: PathBuf::from("a\nb\x1b[31m") };
        let line = failure.report().line_for_people();
        assert!(!line.contains(char::is_control), "{line}");
        let json = failure.report().json();
        assert!(!json.contains(char::is_control), "{json}");
        assert!(json.starts_with(r#"{"error":{"code":"file-exists","message":"#), "{json}");
    }

    /// The strings that the `code` functions of a crate return, read from their source: a list kept beside them could
    /// itself be incomplete.
    fn codes_in(source: &str) -> Vec<String> {
        let mut codes = Vec::new();
        for body in source.split("fn code(").skip(1) {
            let body = body.split("\n    }\n").next().unwrap_or_default();
            codes.extend(body.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
        codes
    }

    #[test]
    fn every_code_is_documented_and_every_documented_code_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut codes: Vec<String> =
            Failure::CODES.iter().chain(ringfence::Error::CODES).map(ToString::to_string).collect();
        for entry in std::fs::read_dir(root.join("crates/policy/src")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                codes.extend(codes_in(&std::fs::read_to_string(path).unwrap()));
            }
        }
        codes.sort();
        codes.dedup();
        let page = std::fs::read_to_string(root.join("docs/cli.md")).unwrap();
        let table = page.split("## Error codes").nth(1).unwrap();
        let mut documented: Vec<String> =
            table.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned())).collect();
        documented.sort();
        let missing: Vec<_> = codes.iter().filter(|code| !documented.contains(code)).collect();
        let superfluous: Vec<_> = documented.iter().filter(|code| !codes.contains(code)).collect();
        assert!(missing.is_empty() && superfluous.is_empty(), "missing: {missing:?}, superfluous: {superfluous:?}");
        assert_eq!(documented.len(), codes.len(), "a code is listed twice");
        assert!(codes.len() > 60, "the codes were not found: {codes:?}");
    }
}
