//! One policy text with its values read and its paths anchored; keys that it does not mention stay open.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::anchor::{Anchors, PathError, PathRole};
use crate::document::{Document, Located, ReadValue, TestTable, expectation};
use crate::error::PolicyError;
use crate::host::{Host, HostError};
use crate::host_rule::{HostPattern, HostRule, Ports};
use crate::limits::{ByteSize, Cpus, Timeout};
use crate::names::{Everyone, NetworkMode, Require, RuleId};
use crate::origin::{Origin, Rule};
use crate::policy::{
    Enforcement, Environment, Filesystem, Hide, Network, Policy, Process, Protect, ReadScope, SelfTest, TestAction,
    Windows,
};
use crate::source::Source;
use crate::upstream::Upstream;
use crate::value_error::ValueError;
use crate::variable::{USUAL, VariablePattern, check_name, usual_variables};

/// What one text says. Layers are stacked by [`Layer::over`]: a list replaces the list below it.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    write: Option<Vec<Rule<PathBuf>>>,
    protect: Option<Vec<Rule<Protect>>>,
    read: Option<ReadScope>,
    hide: Option<Vec<Rule<Hide>>>,
    mode: Option<Rule<NetworkMode>>,
    allow: Option<Vec<Rule<HostRule>>>,
    deny: Option<Vec<Rule<HostRule>>>,
    unix_sockets: Option<Vec<Rule<PathBuf>>>,
    upstream: Option<Rule<Upstream>>,
    timeout: Option<Rule<Timeout>>,
    memory: Option<Rule<ByteSize>>,
    processes: Option<Rule<u32>>,
    cpus: Option<Rule<Cpus>>,
    pass: Option<Vec<Rule<VariablePattern>>>,
    set: BTreeMap<String, Rule<String>>,
    require: Option<Rule<Require>>,
    accept_degraded: Option<Vec<Rule<RuleId>>>,
    everyone: Option<Rule<Everyone>>,
    tests: Vec<Rule<SelfTest>>,
}

impl Layer {
    /// Reads every value of a document.
    pub(crate) fn read(source: &Source, document: &Document, anchors: &Anchors) -> Result<Self, PolicyError> {
        let reader = Reader { source, anchors };
        let Document { version, filesystem, network, process, environment, enforcement, windows, test, .. } = document;
        if *version.value() != 1 {
            let at = source.origin(version.span().start);
            return Err(PolicyError::Version { at, version: *version.value() });
        }
        Ok(Self {
            write: reader.list("filesystem.write", &filesystem.write, |text| reader.path(text, PathRole::Granted))?,
            protect: reader.list("filesystem.protect", &filesystem.protect, |text| reader.protect(text))?,
            read: filesystem.read.as_ref().map(|read| reader.read_scope(read)).transpose()?,
            hide: reader.list("filesystem.hide", &filesystem.hide, |text| reader.hide(text))?,
            mode: reader.one("network.mode", &network.mode, |text| text.parse::<NetworkMode>())?,
            allow: reader.list("network.allow", &network.allow, |text| text.parse::<HostRule>())?,
            deny: reader.list("network.deny", &network.deny, |text| HostRule::parse_deny(text))?,
            unix_sockets: reader
                .list("network.unix_sockets", &network.unix_sockets, |text| reader.path(text, PathRole::Named))?,
            upstream: reader.one("network.upstream", &network.upstream, |text| text.parse::<Upstream>())?,
            timeout: reader.one("process.timeout", &process.timeout, |text| text.parse::<Timeout>())?,
            memory: reader.one("process.memory", &process.memory, |text| text.parse::<ByteSize>())?,
            processes: reader.one("process.processes", &process.processes, |count| parse_count(*count))?,
            cpus: reader.one("process.cpus", &process.cpus, |cpus| Cpus::try_from(*cpus))?,
            pass: reader.pass(&environment.pass)?,
            set: reader.set(&environment.set)?,
            require: reader.one("enforcement.require", &enforcement.require, |text| text.parse::<Require>())?,
            accept_degraded: reader
                .list("enforcement.accept_degraded", &enforcement.accept_degraded, |text| text.parse::<RuleId>())?,
            everyone: reader.one("windows.everyone", &windows.everyone, |text| text.parse::<Everyone>())?,
            tests: test.iter().map(|test| reader.test(test)).collect::<Result<_, _>>()?,
        })
    }

    /// This layer on top of the one that it extends.
    pub(crate) fn over(self, base: Self) -> Self {
        let mut set = base.set;
        set.extend(self.set);
        let mut tests = base.tests;
        tests.extend(self.tests);
        Self {
            write: self.write.or(base.write),
            protect: self.protect.or(base.protect),
            read: self.read.or(base.read),
            hide: self.hide.or(base.hide),
            mode: self.mode.or(base.mode),
            allow: self.allow.or(base.allow),
            deny: self.deny.or(base.deny),
            unix_sockets: self.unix_sockets.or(base.unix_sockets),
            upstream: self.upstream.or(base.upstream),
            timeout: self.timeout.or(base.timeout),
            memory: self.memory.or(base.memory),
            processes: self.processes.or(base.processes),
            cpus: self.cpus.or(base.cpus),
            pass: self.pass.or(base.pass),
            set,
            require: self.require.or(base.require),
            accept_degraded: self.accept_degraded.or(base.accept_degraded),
            everyone: self.everyone.or(base.everyone),
            tests,
        }
    }

    /// The policy that the stacked layers are; what none of them mentions is as strict as it can be.
    pub(crate) fn into_policy(self, profile: String, anchors: &Anchors) -> Policy {
        let strict = Origin::Builtin { profile: "strict".into() };
        Policy {
            profile,
            anchors: anchors.clone(),
            filesystem: Filesystem {
                write: self.write.unwrap_or_default(),
                protect: self.protect.unwrap_or_default(),
                read: self.read.unwrap_or_else(|| ReadScope::Roots(Vec::new())),
                hide: self.hide.unwrap_or_else(|| vec![Rule::new(Hide::Secrets, strict.clone())]),
            },
            network: Network {
                mode: self.mode.unwrap_or_else(|| Rule::new(NetworkMode::Off, strict.clone())),
                allow: self.allow.unwrap_or_default(),
                deny: self.deny.unwrap_or_default(),
                unix_sockets: self.unix_sockets.unwrap_or_default(),
                upstream: self.upstream,
            },
            process: Process { timeout: self.timeout, memory: self.memory, processes: self.processes, cpus: self.cpus },
            environment: Environment { pass: self.pass.unwrap_or_default(), set: self.set },
            enforcement: Enforcement {
                require: self.require.unwrap_or_else(|| Rule::new(Require::Kernel, strict.clone())),
                accept_degraded: self.accept_degraded.unwrap_or_default(),
            },
            windows: Windows { everyone: self.everyone.unwrap_or_else(|| Rule::new(Everyone::Never, strict)) },
            tests: self.tests,
        }
    }
}

/// Checks a number of processes.
pub(crate) fn parse_count(count: i64) -> Result<u32, ValueError> {
    match u32::try_from(count) {
        Ok(number @ 1..=4_194_304) => Ok(number),
        _ => Err(ValueError::Count { text: count.to_string() }),
    }
}

/// Reads an entry of `filesystem.protect`.
pub(crate) fn parse_protect(text: &str, anchors: &Anchors) -> Result<Protect, PathError> {
    match text {
        "@git" => Ok(Protect::Git),
        _ => parse_path(text, anchors, PathRole::Named, "`@git`").map(Protect::Path),
    }
}

/// Reads an entry of `filesystem.hide`.
pub(crate) fn parse_hide(text: &str, anchors: &Anchors) -> Result<Hide, PathError> {
    match text {
        "@secrets" => Ok(Hide::Secrets),
        _ => parse_path(text, anchors, PathRole::Named, "`@secrets`").map(Hide::Path),
    }
}

/// Reads a path where only the named set (none, if empty) is possible besides.
pub(crate) fn parse_path(
    text: &str,
    anchors: &Anchors,
    role: PathRole,
    known: &'static str,
) -> Result<PathBuf, PathError> {
    if text.starts_with('@') {
        return Err(PathError::UnknownSet { known });
    }
    anchors.resolve(text, role)
}

/// Why a value is refused, before it is known where it was written.
enum Problem {
    Value(ValueError),
    Host(HostError),
    Path(PathError),
}

impl From<ValueError> for Problem {
    fn from(problem: ValueError) -> Self {
        Self::Value(problem)
    }
}

impl From<HostError> for Problem {
    fn from(problem: HostError) -> Self {
        Self::Host(problem)
    }
}

impl From<PathError> for Problem {
    fn from(problem: PathError) -> Self {
        Self::Path(problem)
    }
}

struct Reader<'a> {
    source: &'a Source,
    anchors: &'a Anchors,
}

impl Reader<'_> {
    fn one<T, V, E: Into<Problem>>(
        &self,
        key: &'static str,
        written: &Option<Located<T>>,
        read: impl Fn(&T) -> Result<V, E>,
    ) -> Result<Option<Rule<V>>, PolicyError> {
        written.as_ref().map(|written| self.rule(key, written, &read)).transpose()
    }

    fn list<T, V, E: Into<Problem>>(
        &self,
        key: &'static str,
        written: &Option<Vec<Located<T>>>,
        read: impl Fn(&T) -> Result<V, E>,
    ) -> Result<Option<Vec<Rule<V>>>, PolicyError> {
        let entries = |entries: &Vec<Located<T>>| entries.iter().map(|entry| self.rule(key, entry, &read)).collect();
        written.as_ref().map(entries).transpose()
    }

    /// `environment.pass`, with the set that it may name taken apart.
    fn pass(&self, written: &Option<Vec<Located<String>>>) -> Result<Option<Vec<Rule<VariablePattern>>>, PolicyError> {
        let Some(entries) = written else {
            return Ok(None);
        };
        let mut rules = Vec::new();
        for entry in entries {
            if entry.value() == USUAL {
                let origin = self.origin(entry);
                rules.extend(usual_variables().map(|name| Rule::new(name, origin.clone())));
            } else {
                rules.push(self.rule("environment.pass", entry, |text| text.parse::<VariablePattern>())?);
            }
        }
        Ok(Some(rules))
    }

    fn rule<T, V, E: Into<Problem>>(
        &self,
        key: &'static str,
        written: &Located<T>,
        read: impl Fn(&T) -> Result<V, E>,
    ) -> Result<Rule<V>, PolicyError> {
        let value = read(written.value()).map_err(|problem| self.error(key, written, problem.into()))?;
        Ok(Rule::new(value, self.origin(written)))
    }

    fn error<T>(&self, key: &'static str, written: &Located<T>, problem: Problem) -> PolicyError {
        let at = self.origin(written);
        // What was written without its quotes.
        let text = || self.source.excerpt(&written.span()).trim_matches(['"', '\'']).to_owned();
        match problem {
            Problem::Value(problem) => PolicyError::Value { at, key, problem },
            Problem::Host(problem) => PolicyError::Host { at, key, text: text(), problem },
            Problem::Path(problem) => PolicyError::Path { at, key, text: text(), problem },
        }
    }

    fn origin<T>(&self, written: &Located<T>) -> Origin {
        self.source.origin(written.span().start)
    }

    fn path(&self, text: &str, role: PathRole) -> Result<PathBuf, PathError> {
        parse_path(text, self.anchors, role, "")
    }

    fn protect(&self, text: &str) -> Result<Protect, PathError> {
        parse_protect(text, self.anchors)
    }

    fn hide(&self, text: &str) -> Result<Hide, PathError> {
        parse_hide(text, self.anchors)
    }

    fn read_scope(&self, written: &Located<ReadValue>) -> Result<ReadScope, PolicyError> {
        const KEY: &str = "filesystem.read";
        match written.value() {
            ReadValue::Word(word) if word == "host" => Ok(ReadScope::Host(self.origin(written))),
            ReadValue::Word(word) => Err(self.error(KEY, written, ValueError::unknown_word(word, &["host"]).into())),
            ReadValue::Roots(roots) => {
                let roots = roots.iter().map(|root| self.rule(KEY, root, |text| self.path(text, PathRole::Named)));
                roots.collect::<Result<_, _>>().map(ReadScope::Roots)
            }
        }
    }

    fn set(
        &self,
        written: &Option<BTreeMap<Located<String>, Located<String>>>,
    ) -> Result<BTreeMap<String, Rule<String>>, PolicyError> {
        const KEY: &str = "environment.set";
        let mut set = BTreeMap::new();
        for (name, value) in written.iter().flatten() {
            check_name(name.value()).map_err(|problem| self.error(KEY, name, problem.into()))?;
            if value.value().contains('\0') {
                let problem = ValueError::VariableValue { name: name.value().clone() };
                return Err(self.error(KEY, value, problem.into()));
            }
            set.insert(name.value().clone(), Rule::new(value.value().clone(), self.origin(value)));
        }
        Ok(set)
    }

    fn test(&self, written: &Located<TestTable>) -> Result<Rule<SelfTest>, PolicyError> {
        let table = written.value();
        let path = |text: &String| self.path(text, PathRole::Named);
        let connect = self.one("test.connect", &table.connect, |text| parse_connect(text))?;
        let write = self.one("test.write", &table.write, |text| path(text).map(TestAction::Write))?;
        let read = self.one("test.read", &table.read, |text| path(text).map(TestAction::Read))?;
        let mut actions: Vec<_> = [connect, write, read].into_iter().flatten().collect();
        let (Some(action), true) = (actions.pop(), actions.is_empty()) else {
            let count = [&table.connect, &table.write, &table.read].into_iter().flatten().count();
            return Err(PolicyError::TestActions { at: self.origin(written), count });
        };
        let expect = self.one("test.expect", &table.expect, |text| text.parse())?.ok_or_else(|| {
            let key = "test.expect".to_owned();
            PolicyError::MissingKey { at: self.origin(written), key, expected: expectation("test.expect") }
        })?;
        Ok(Rule::new(SelfTest { action: action.value, expect: expect.value }, action.origin))
    }
}

fn parse_connect(text: &str) -> Result<TestAction, HostError> {
    let rule: HostRule = text.parse()?;
    let host = match rule.pattern {
        HostPattern::Exact(name) => Host::Name(name),
        HostPattern::Ip(address) => Host::from(address),
        HostPattern::Suffix(_) | HostPattern::Any => return Err(HostError::TestWildcard),
    };
    let port = match rule.ports {
        Ports::Web => 443,
        Ports::One(port) => port,
        Ports::All => return Err(HostError::TestWildcard),
    };
    Ok(TestAction::Connect { host, port })
}
