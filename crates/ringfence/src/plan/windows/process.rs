//! The process: program, command line, environment, limits.

use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr};

use ringfence_egress::{Endpoint, proxy_environment};
use ringfence_policy::{NetworkMode, Policy, System};

use super::{ConsolePlan, JobPlan, PrivateDirectory, PrivatePurpose, ProcessPlan, StandardHandle, UiLimit};
use crate::facts::windows::{CacheTool, Directories, ProgramKind, WindowsFacts, WindowsPlace};
use crate::plan::{Command, EgressPlan, Limits};
use crate::windows::path::WindowsPath;
use crate::windows::wide::Wide;
use crate::windows::{command_line, environment_block};
use crate::{Error, Invocation, Text, environment};

/// The command in the form that all systems share.
pub(super) fn command(
    policy: &Policy,
    facts: &WindowsFacts,
    invocation: &Invocation,
    roots: &[&WindowsPlace],
    private: &[PrivateDirectory],
    egress: Option<&EgressPlan>,
) -> Result<Command, Error> {
    let mut defaults = defaults(facts, roots, private);
    match policy.network.mode.value {
        NetworkMode::Off => defaults.extend(no_network()),
        NetworkMode::Allowlist | NetworkMode::Open => {
            defaults.extend(egress.map(EgressPlan::environment).unwrap_or_default());
        }
    }
    let defaults: Vec<(&str, &OsStr)> =
        defaults.iter().map(|(name, value)| (name.as_str(), OsStr::new(value))).collect();
    let caller = without_aliases(&invocation.environment, &facts.caller.directories);
    let environment = environment::compose(&policy.environment, System::Windows, &caller, &defaults);
    let wide: Option<Vec<_>> = environment
        .iter()
        .map(|(name, value)| Some((Wide::from_os(name.as_os_str())?, Wide::from_os(value.as_os_str())?)))
        .collect();
    // What cannot be a block is refused now, while nothing has been touched.
    environment_block::encode(&wide.ok_or_else(|| not_unicode("a variable"))?)?;
    Ok(Command {
        program: facts.survey.program.path.to_path_buf(),
        argv: invocation.argv.iter().cloned().map(Text).collect(),
        directory: facts.survey.directory.to_path_buf(),
        environment,
        tty: invocation.tty,
        keep_descriptors: Vec::new(),
    })
}

/// How the command is started.
pub(super) fn plan(facts: &WindowsFacts, invocation: &Invocation) -> Result<ProcessPlan, Error> {
    let argv: Option<Vec<Wide>> = invocation.argv.iter().map(|argument| Wide::from_os(argument)).collect();
    let argv = argv.ok_or_else(|| not_unicode("an argument"))?;
    let program = &facts.survey.program;
    let (application, command_line) = match program.kind {
        ProgramKind::Executable => (program.path.clone(), command_line::quote(&argv)?),
        ProgramKind::Batch => {
            let cmd = system_file(&facts.caller.directories, r"System32\cmd.exe")?;
            let arguments = argv.get(1..).unwrap_or_default();
            let line = command_line::quote_batch(&cmd, &program.path, arguments)?;
            (cmd, line)
        }
    };
    let (handles, console) = match invocation.tty {
        true => (Vec::new(), ConsolePlan::Pseudo),
        false => (vec![StandardHandle::Input, StandardHandle::Output, StandardHandle::Error], ConsolePlan::Hidden),
    };
    Ok(ProcessPlan { application, command_line, handles, console })
}

/// The job of a run.
pub(super) fn job(limits: &Limits, processors: u32) -> JobPlan {
    JobPlan {
        kill_on_close: true,
        die_on_unhandled_exception: true,
        memory_bytes: limits.memory_bytes,
        active_processes: limits.processes,
        cpu_rate: limits.cpus_milli.and_then(|milli| cpu_rate(milli, processors)),
        ui: vec![
            UiLimit::Desktop,
            UiLimit::Displaysettings,
            UiLimit::Exitwindows,
            UiLimit::Globalatoms,
            UiLimit::Handles,
            UiLimit::Readclipboard,
            UiLimit::Systemparameters,
            UiLimit::Writeclipboard,
        ],
    }
}

/// Thousandths of one processor as hundredths of a percent of all; `None` where that is all of them or more.
fn cpu_rate(milli: u32, processors: u32) -> Option<u32> {
    let rate = u64::from(milli) * 10 / u64::from(processors.max(1));
    u32::try_from(rate).ok().filter(|rate| *rate < 10_000).map(|rate| rate.max(1))
}

/// Variables of the plan itself: the policy's own settings win over them, they win over the caller's.
fn defaults(facts: &WindowsFacts, roots: &[&WindowsPlace], private: &[PrivateDirectory]) -> Vec<(String, String)> {
    let directories = &facts.caller.directories;
    let system_root = directories.system_root.as_str();
    let mut list = Vec::new();
    let mut set = |name: &str, value: &str| list.push((name.to_owned(), value.to_owned()));
    set("RINGFENCE", "1");
    // Without it neither sockets nor the CLR start, whatever a policy passes.
    set("SystemRoot", system_root);
    let of = |purpose| private.iter().find(|directory| directory.purpose == purpose).map(|directory| &directory.path);
    let temporary = of(PrivatePurpose::Temporary);
    if let Some(path) = temporary {
        ["TEMP", "TMP", "TMPDIR"].iter().for_each(|name| set(name, path.as_str()));
    }
    // What is downloaded without a workspace to keep it for lives and dies with the run.
    if let Some(cache) = of(PrivatePurpose::Cache).or(temporary) {
        for (_, variables) in CACHES.iter().filter(|(tool, _)| !writable(*tool, directories, roots)) {
            variables.iter().for_each(|(name, below)| set(name, &format!(r"{cache}\{below}")));
        }
    }
    list
}

/// Proxy settings that lead nowhere: what keeps programs that follow them off the network.
fn no_network() -> Vec<(String, String)> {
    // The port of the discard service, which Windows does not have.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    proxy_environment(&Endpoint { address, own_loopback: false })
}

/// The variables by which package managers are told where to keep what they download, and the directories below the cache.
const CACHES: &[(CacheTool, &[(&str, &str)])] = &[
    (CacheTool::Nuget, &[("NUGET_PACKAGES", r"nuget\packages"), ("NUGET_HTTP_CACHE_PATH", r"nuget\http")]),
    (CacheTool::Npm, &[("npm_config_cache", "npm")]),
    (CacheTool::Pip, &[("PIP_CACHE_DIR", "pip")]),
    (CacheTool::Cargo, &[("CARGO_HOME", "cargo")]),
    (CacheTool::Gradle, &[("GRADLE_USER_HOME", "gradle")]),
    (CacheTool::Go, &[("GOCACHE", r"go\build"), ("GOMODCACHE", r"go\mod")]),
];

/// Whether a package manager can write where it keeps its downloads anyway.
fn writable(tool: CacheTool, directories: &Directories, roots: &[&WindowsPlace]) -> bool {
    let mut homes = directories.developer_caches.iter().filter(|cache| cache.tool == tool).peekable();
    homes.peek().is_some() && homes.all(|cache| roots.iter().any(|root| cache.path.is_in(&root.path)))
}

/// The caller's variables, with the directory of the Store's aliases taken out of PATH: no restricted token can start what
/// they lead to, and a shell that finds `python` there fails instead of looking further.
fn without_aliases(caller: &[(OsString, OsString)], directories: &Directories) -> Vec<(OsString, OsString)> {
    let aliases = directories.local_app_data.join(r"Microsoft\WindowsApps").ok();
    let is_alias = |entry: &str| {
        let path = WindowsPath::parse(entry.trim().trim_matches('"')).ok();
        matches!((&path, &aliases), (Some(path), Some(aliases)) if path.is_in(aliases))
    };
    let filtered = |name: &OsStr, value: &OsStr| {
        let value = value.to_str().filter(|_| name.eq_ignore_ascii_case("PATH"))?;
        Some(value.split(';').filter(|entry| !is_alias(entry)).collect::<Vec<_>>().join(";").into())
    };
    caller.iter().map(|(name, value)| (name.clone(), filtered(name, value).unwrap_or_else(|| value.clone()))).collect()
}

fn system_file(directories: &Directories, below: &str) -> Result<WindowsPath, Error> {
    let root = &directories.system_root;
    root.join(below).map_err(|problem| Error::CommandLine { why: format!("`{root}` cannot be used: {problem}") })
}

fn not_unicode(what: &str) -> Error {
    Error::CommandLine { why: format!("{what} is not Unicode") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_limits_are_a_share_of_all_processors() {
        for (milli, processors, rate) in [
            (1000, 4, Some(2500)),
            (500, 8, Some(625)),
            (1, 64, Some(1)),
            (4000, 4, None),
            (8000, 4, None),
            (1000, 0, None),
            (u32::MAX, 1, None),
        ] {
            assert_eq!(cpu_rate(milli, processors), rate, "{milli} of {processors}");
        }
    }
}
