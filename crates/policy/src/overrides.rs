//! What flags change in a policy.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::anchor::{Anchors, PathError, PathRole};
use crate::error::PolicyError;
use crate::host_rule::HostRule;
use crate::layer::{parse_count, parse_hide, parse_path, parse_protect};
use crate::limits::{ByteSize, Cpus, Timeout};
use crate::names::{NetworkMode, RuleId};
use crate::origin::{Origin, Rule};
use crate::policy::{Policy, ReadScope};
use crate::value_error::ValueError;
use crate::variable::{VariablePattern, check_name};

/// What flags add to (lists) or replace in (the rest) the user's policy. They never exceed the managed policy.
///
/// Paths follow the rules of a policy file: relative to the workspace, `~` is the home directory, `@git` and `@secrets`
/// are sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--write`
    pub write: Vec<PathBuf>,
    /// `--read`: takes effect where `filesystem.read` is a list; everything else is readable anyway.
    pub read: Vec<PathBuf>,
    /// `--hide`
    pub hide: Vec<PathBuf>,
    /// `--protect`
    pub protect: Vec<PathBuf>,
    /// `--allow`: a mode of `off` becomes an allowlist of these hosts alone.
    pub allow: Vec<HostRule>,
    /// `--offline`
    pub offline: bool,
    /// `--network`
    pub network: Option<NetworkMode>,
    /// `--timeout`
    pub timeout: Option<Timeout>,
    /// `--memory`
    pub memory: Option<ByteSize>,
    /// `--processes`
    pub processes: Option<u32>,
    /// `--cpus`
    pub cpus: Option<Cpus>,
    /// `--pass`
    pub pass: Vec<VariablePattern>,
    /// `--set`
    pub set: BTreeMap<String, String>,
    /// `--accept-degraded`
    pub accept_degraded: Vec<RuleId>,
    /// `--unix-socket`
    pub unix_sockets: Vec<PathBuf>,
}

impl Overrides {
    /// Changes the policy; the anchors must be [normal](Anchors::normal).
    pub(crate) fn apply(&self, policy: &mut Policy, anchors: &Anchors) -> Result<(), PolicyError> {
        self.apply_to_files(policy, anchors)?;
        self.apply_to_network(policy, anchors)?;

        let process = &mut policy.process;
        replace(&mut process.timeout, self.timeout, "--timeout");
        replace(&mut process.memory, self.memory, "--memory");
        replace(&mut process.cpus, self.cpus, "--cpus");
        let count = self.processes.map(|count| parse_count(count.into())).transpose();
        replace(&mut process.processes, count.map_err(|problem| refused_value("--processes", problem))?, "--processes");

        policy.environment.pass.extend(rules(self.pass.iter().cloned(), "--pass"));
        for (name, value) in &self.set {
            check_name(name).map_err(|problem| refused_value("--set", problem))?;
            if value.contains('\0') {
                return Err(refused_value("--set", ValueError::VariableValue { name: name.clone() }));
            }
            policy.environment.set.insert(name.clone(), Rule::new(value.clone(), Origin::flag("--set")));
        }
        policy.enforcement.accept_degraded.extend(rules(self.accept_degraded.iter().copied(), "--accept-degraded"));
        Ok(())
    }

    fn apply_to_files(&self, policy: &mut Policy, anchors: &Anchors) -> Result<(), PolicyError> {
        let files = &mut policy.filesystem;
        files
            .write
            .extend(read_paths(&self.write, "--write", |text| parse_path(text, anchors, PathRole::Granted, ""))?);
        let read = read_paths(&self.read, "--read", |text| parse_path(text, anchors, PathRole::Named, ""))?;
        if let ReadScope::Roots(roots) = &mut files.read {
            roots.extend(read);
        }
        files.hide.extend(read_paths(&self.hide, "--hide", |text| parse_hide(text, anchors))?);
        files.protect.extend(read_paths(&self.protect, "--protect", |text| parse_protect(text, anchors))?);
        Ok(())
    }

    fn apply_to_network(&self, policy: &mut Policy, anchors: &Anchors) -> Result<(), PolicyError> {
        let network = &mut policy.network;
        let conflict = |first, second| Err(PolicyError::FlagConflict { first, second });
        if self.offline && !self.allow.is_empty() {
            return conflict("--offline", "--allow");
        }
        match self.network {
            Some(mode) if self.offline && mode != NetworkMode::Off => {
                return conflict("--offline", "--network");
            }
            Some(NetworkMode::Off | NetworkMode::Open) if !self.allow.is_empty() => {
                return conflict("--allow", "--network");
            }
            Some(mode) => network.mode = Rule::new(mode, Origin::flag("--network")),
            None if self.offline => network.mode = Rule::new(NetworkMode::Off, Origin::flag("--offline")),
            None if !self.allow.is_empty() && network.mode.value == NetworkMode::Off => {
                // A list that lay idle must not come to life through a flag that names other hosts.
                network.allow.clear();
                network.mode = Rule::new(NetworkMode::Allowlist, Origin::flag("--allow"));
            }
            None => {}
        }
        if self.network == Some(NetworkMode::Open) {
            network.allow.clear();
        }
        network.allow.extend(rules(self.allow.iter().cloned(), "--allow"));
        let socket = |text: &str| parse_path(text, anchors, PathRole::Named, "");
        network.unix_sockets.extend(read_paths(&self.unix_sockets, "--unix-socket", socket)?);
        Ok(())
    }
}

fn replace<T>(rule: &mut Option<Rule<T>>, value: Option<T>, flag: &str) {
    if let Some(value) = value {
        *rule = Some(Rule::new(value, Origin::flag(flag)));
    }
}

fn rules<T>(values: impl IntoIterator<Item = T>, flag: &str) -> impl Iterator<Item = Rule<T>> {
    values.into_iter().map(move |value| Rule::new(value, Origin::flag(flag)))
}

fn read_paths<T>(
    written: &[PathBuf],
    flag: &'static str,
    read: impl Fn(&str) -> Result<T, PathError>,
) -> Result<Vec<Rule<T>>, PolicyError> {
    let rule = |path: &PathBuf| match path.to_str().ok_or(PathError::NotUtf8).and_then(&read) {
        Ok(value) => Ok(Rule::new(value, Origin::flag(flag))),
        Err(problem) => {
            Err(PolicyError::Path { at: Origin::flag(flag), key: "path", text: path.display().to_string(), problem })
        }
    };
    written.iter().map(rule).collect()
}

fn refused_value(flag: &'static str, problem: ValueError) -> PolicyError {
    PolicyError::Value { at: Origin::flag(flag), key: "value", problem }
}
