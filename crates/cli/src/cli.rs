//! The one definition of the command line.
//!
//! The parser, `--help`, the man pages, the shell completions and the check of the commands in the
//! documentation are all made from the types below, so that none of them can disagree.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use ringfence_policy::{ByteSize, Cpus, HostRule, NetworkMode, RuleId, System, Timeout, VariablePattern};

use crate::destination::Destination;

/// Returns the definition as data, for generators of man pages and completions.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Run a command that nobody has reviewed, held by the operating system
///
/// ringfence runs a command so that the kernel holds it: it writes only inside the project, reads what the
/// policy leaves readable, reaches only the hosts that are allowed, and its processes end with it. No virtual
/// machine, no image, no daemon.
#[derive(Debug, Parser)]
#[command(
    name = "ringfence",
    version,
    arg_required_else_help = false,
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = EXIT_STATUSES,
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

const EXIT_STATUSES: &str = "\
Exit status of `ringfence run`:
  the command's own, or
  124    the command was ended because its time was over
  125    ringfence itself failed, or was called wrongly
  126    refused: the policy is invalid, or a rule cannot be enforced here
  127    the command was not found or cannot be executed
  128+n  the command was ended by signal n";

/// The subcommands.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Action {
    /// Run a command inside the boundary
    ///
    /// Without a policy the built-in profile `workspace` applies: the command writes in the current directory only,
    /// secrets are hidden, and the network is off. If a rule of the policy cannot be enforced by the kernel of this
    /// machine, nothing runs, and the refusal names the rule, the reason and the flag that would accept it.
    Run(Run),
    /// Show what would be enforced, how strongly, and by what
    ///
    /// Nothing is run and nothing is changed. Takes the flags of `ringfence run`.
    Plan(Plan),
    /// Say which rule decides, with its file and line
    ///
    /// The answer is the policy's. What this machine makes of it is shown by `ringfence plan`. Exits with 0 if the
    /// policy allows it and with 1 if it does not.
    Why(Why),
    /// Try to get out, and show what held
    ///
    /// Runs ways out of the boundary inside it, and each of them outside as well, where it must succeed: a way out
    /// that works nowhere proves nothing. Exits with 1 if any of them got out.
    Verify(Verify),
    /// Show what this machine can enforce, with the reason for every "no"
    Doctor(Doctor),
    /// List the receipts of past runs and verify their hash chain
    ///
    /// Exits with 1 if the chain is broken.
    Log(Log),
    /// List what was changed on disk, and take it back (Windows)
    Grants(Grants),
    /// Write, check and describe policy files
    Policy(Policy),
}

/// Arguments of `ringfence run`.
#[derive(Debug, Args)]
#[command(override_usage = "ringfence run [OPTIONS] -- COMMAND...")]
pub struct Run {
    /// Everything that decides the boundary.
    #[command(flatten)]
    pub boundary: Boundary,
    /// How the command is started.
    #[command(flatten)]
    pub start: Start,
    /// Print nothing but errors: no list of blocked hosts or quarantined files after the command
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
    /// Print the receipt, or the error, as one line of JSON on standard error
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// The command and its arguments
    #[command(flatten)]
    pub target: Target,
}

/// Arguments of `ringfence plan`.
#[derive(Debug, Args)]
#[command(override_usage = "ringfence plan [OPTIONS] -- COMMAND...")]
pub struct Plan {
    /// Everything that decides the boundary.
    #[command(flatten)]
    pub boundary: Boundary,
    /// How the command would be started.
    #[command(flatten)]
    pub start: Start,
    /// Plan from the facts in FILE instead of this machine's, as `--save-facts` wrote them on another one
    ///
    /// The workspace, the home directory and the program are those of the facts, and paths follow the rules of their system.
    /// Managed policies of this machine do not apply.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["workspace", "save_facts"], help_heading = "Facts")]
    pub facts: Option<PathBuf>,
    /// The system that the facts must be of
    #[arg(long = "target", value_name = "SYSTEM", value_parser = one_of::<System>(&["windows"]), requires = "facts", help_heading = "Facts")]
    pub system: Option<System>,
    /// Write what the plan is made from to FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Facts")]
    pub save_facts: Option<PathBuf>,
    /// Print the whole plan as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// The command and its arguments
    #[command(flatten)]
    pub target: Target,
}

/// The command to run.
#[derive(Debug, Args)]
pub struct Target {
    /// The command and its arguments, as they are: no shell reads them
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, num_args = 1.., value_hint = ValueHint::CommandWithArguments)]
    pub argv: Vec<OsString>,
}

/// Where the policy comes from.
#[derive(Debug, Args)]
pub struct Source {
    /// Start from a built-in profile: workspace (the default), read-only or guard
    #[arg(long, value_name = "NAME", conflicts_with = "policy", help_heading = "Policy")]
    pub profile: Option<String>,
    /// Start from a policy file
    ///
    /// A policy file is never picked up by itself: one in the project could have been written by the very code that
    /// it should hold.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Policy")]
    pub policy: Option<PathBuf>,
    /// The project: what `.` and relative paths in a policy mean [default: the current directory]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Policy")]
    pub workspace: Option<PathBuf>,
}

/// The flags that decide the boundary.
///
/// They widen or narrow the profile or policy file; a machine-wide managed policy stays a ceiling above them all.
#[derive(Debug, Args)]
pub struct Boundary {
    /// Where the policy comes from.
    #[command(flatten)]
    pub source: Source,

    /// Let the command write below PATH
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, help_heading = "Files")]
    pub write: Vec<PathBuf>,
    /// Keep PATH unchanged, even inside a writable directory
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, help_heading = "Files")]
    pub protect: Vec<PathBuf>,
    /// Let the command read below PATH
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, help_heading = "Files")]
    pub read: Vec<PathBuf>,
    /// Hide PATH: the command can neither read nor list it
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, help_heading = "Files")]
    pub hide: Vec<PathBuf>,

    /// How much of the network the command has
    ///
    /// off: none but a loopback interface of its own. allowlist: the allowed hosts, through the proxy of ringfence.
    /// open: the network of the host, unconfined.
    #[arg(long, value_name = "MODE", value_parser = one_of::<NetworkMode>(NetworkMode::WORDS), help_heading = "Network")]
    pub network: Option<NetworkMode>,
    /// Let the command reach HOST, or HOST:PORT (else ports 443 and 80); *.example.com means every name below it
    #[arg(long, value_name = "HOST", value_hint = ValueHint::Hostname, help_heading = "Network")]
    pub allow: Vec<HostRule>,
    /// No network, whatever the policy says
    #[arg(long, help_heading = "Network")]
    pub offline: bool,
    /// Let the command connect to the host's Unix socket PATH
    #[arg(long, value_name = "PATH", alias = "allow-socket", value_hint = ValueHint::FilePath, help_heading = "Network")]
    pub unix_socket: Vec<PathBuf>,

    /// Hand over an environment variable; NAME may end in *
    #[arg(long, value_name = "NAME", help_heading = "Environment")]
    pub pass: Vec<VariablePattern>,
    /// Set an environment variable
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment, help_heading = "Environment")]
    pub set: Vec<(String, String)>,

    /// End the command and all its processes after DURATION: 30s, 10m, 2h
    #[arg(long, value_name = "DURATION", help_heading = "Limits")]
    pub timeout: Option<Timeout>,
    /// Limit the memory of the command and all its processes: 512MiB, 4GiB
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    pub memory: Option<ByteSize>,
    /// Limit the number of processes and threads
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits")]
    pub processes: Option<u32>,
    /// Limit the processor time to that of NUMBER processors: 0.5, 2
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    pub cpus: Option<Cpus>,

    /// Run although RULE is not enforced by the kernel here, for example network or filesystem.hide
    #[arg(long, value_name = "RULE", value_parser = one_of::<RuleId>(RuleId::WORDS), help_heading = "Enforcement")]
    pub accept_degraded: Vec<RuleId>,
}

/// The flags that decide how the command is started, and not what it may do.
#[derive(Debug, Args)]
pub struct Start {
    /// Give the command a terminal of its own, for shells and full-screen programs
    #[arg(long, short, help_heading = "Process")]
    pub tty: bool,
    /// Ask on the terminal about hosts that no rule of an allowlist names; the command's input is then empty
    #[arg(long, conflicts_with = "tty", help_heading = "Network")]
    pub ask: bool,
    /// Hand over the open file descriptor N besides 0, 1 and 2
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(3..), help_heading = "Process")]
    pub keep_fd: Vec<i32>,
    /// What holds the command
    #[arg(long, value_enum, default_value_t, help_heading = "Enforcement")]
    pub mechanism: Mechanism,
}

/// What holds the command on Linux.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Mechanism {
    /// Namespaces where the kernel allows them, else Landlock.
    #[default]
    Auto,
    /// User, mount, PID, network, IPC and UTS namespaces.
    Namespaces,
    /// Landlock and seccomp alone.
    Landlock,
}

impl Mechanism {
    /// How it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Namespaces => "namespaces",
            Self::Landlock => "landlock",
        }
    }
}

/// Arguments of `ringfence why`.
#[derive(Debug, Args)]
pub struct Why {
    /// What is asked.
    #[command(subcommand)]
    pub question: Question,
}

/// The questions that `ringfence why` answers.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// May a command write PATH?
    Write(PathQuestion),
    /// May a command read PATH?
    Read(PathQuestion),
    /// May a command connect to a host?
    Connect(ConnectQuestion),
}

/// Arguments of `ringfence why write` and `ringfence why read`.
#[derive(Debug, Args)]
pub struct PathQuestion {
    /// Everything that decides the boundary.
    #[command(flatten)]
    pub boundary: Boundary,
    /// Print the answer as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// The path; it need not exist
    #[arg(value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
}

/// Arguments of `ringfence why connect`.
#[derive(Debug, Args)]
pub struct ConnectQuestion {
    /// Everything that decides the boundary.
    #[command(flatten)]
    pub boundary: Boundary,
    /// Print the answer as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// A host name or address, with a port if it is not 443
    #[arg(value_name = "HOST[:PORT]", value_hint = ValueHint::Hostname)]
    pub destination: Destination,
}

/// Arguments of `ringfence verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Run only the ways out whose name contains TEXT
    #[arg(value_name = "TEXT")]
    pub filter: Option<String>,
    /// What should hold them
    #[arg(long, value_enum, default_value_t)]
    pub mechanism: Mechanism,
    /// Print one line of JSON for each way out
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ringfence doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Show the machine whose facts are in FILE, as `ringfence plan --save-facts` wrote them there
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub facts: Option<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ringfence log`.
#[derive(Debug, Args)]
pub struct Log {
    /// Show only the last N receipts
    #[arg(short = 'n', long = "last", value_name = "N")]
    pub last: Option<usize>,
    /// Only verify the hash chain
    #[arg(long)]
    pub verify: bool,
    /// Print each receipt as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ringfence grants`.
#[derive(Debug, Args)]
pub struct Grants {
    /// What to do with what was granted.
    #[command(subcommand)]
    pub action: GrantsAction,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// The subcommands of `ringfence grants`.
#[derive(Debug, Subcommand)]
pub enum GrantsAction {
    /// List every root that was granted, and what in it was left alone
    List,
    /// Take permissions back, so that each is as it was before
    ///
    /// Where somebody changed a list of permissions meanwhile, only entries of ringfence are taken out. Exits with 1 if
    /// something could not be taken back.
    Revoke(GrantsRevoke),
}

/// Arguments of `ringfence grants revoke`.
#[derive(Debug, Args)]
pub struct GrantsRevoke {
    /// The root whose workspace's grants are taken back
    #[arg(value_name = "PATH", required_unless_present = "all", conflicts_with = "all", value_hint = ValueHint::DirPath)]
    pub path: Option<PathBuf>,
    /// Take back the grants of every workspace
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `ringfence policy`.
#[derive(Debug, Args)]
pub struct Policy {
    /// What to do with a policy.
    #[command(subcommand)]
    pub action: PolicyAction,
}

/// The subcommands of `ringfence policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyAction {
    /// Write a commented policy file to start from
    Init(PolicyInit),
    /// Read a policy file, run its own tests, and warn about what lets code or secrets out
    ///
    /// Exits with 126 if the policy is invalid and with 1 if there are warnings and --strict was given.
    Check(PolicyCheck),
    /// Print the JSON Schema of policy files, for editors
    Schema,
}

/// Arguments of `ringfence policy init`.
#[derive(Debug, Args)]
pub struct PolicyInit {
    /// The file to write
    #[arg(default_value = "ringfence.toml", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
    /// Print the error, if there is one, as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ringfence policy check`.
#[derive(Debug, Args)]
pub struct PolicyCheck {
    /// The file to check
    #[arg(default_value = "ringfence.toml", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The project: what `.` and relative paths in the policy mean [default: the current directory]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub workspace: Option<PathBuf>,
    /// Fail if there are warnings
    #[arg(long)]
    pub strict: bool,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Parses one of a closed set of words, which help and completions then list.
fn one_of<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse::<T>())
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, or use --pass NAME to hand over the value that you have".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn an_unknown_flag_is_never_taken_for_the_command() {
        let error = Cli::try_parse_from(["ringfence", "run", "--wriet", "/", "true"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::UnknownArgument);
        assert!(Cli::try_parse_from(["ringfence", "run", "--write", "/", "true"]).is_ok());
    }

    #[test]
    fn flags_after_the_command_belong_to_the_command() {
        for arguments in [["run", "cargo", "--offline"].as_slice(), &["run", "--", "cargo", "--offline"]] {
            let cli = Cli::try_parse_from([&["ringfence"], arguments].concat()).unwrap();
            let Action::Run(run) = cli.action else { panic!("not a run") };
            assert!(!run.boundary.offline);
            assert_eq!(run.target.argv, ["cargo", "--offline"]);
        }
    }

    #[test]
    fn a_second_separator_belongs_to_the_command() {
        let cli = Cli::try_parse_from(["ringfence", "run", "--", "git", "log", "--", "file"]).unwrap();
        let Action::Run(run) = cli.action else { panic!("not a run") };
        assert_eq!(run.target.argv, ["git", "log", "--", "file"]);
    }
}
