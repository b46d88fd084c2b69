//! A policy file as it is written: the types that the TOML parser fills and that the JSON Schema is made from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::names::{Everyone, NetworkMode, Require, RuleId, Verdict};

/// A ringfence policy: what a command may do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Policy")]
pub(crate) struct Document {
    /// The version of the format; always 1.
    #[schemars(extend("const" = 1))]
    pub(crate) version: Located<i64>,
    /// What this policy starts from: `workspace` (the default), `read-only`, `guard`, or the path of another policy
    /// file, relative to this one.
    pub(crate) extends: Option<Located<String>>,
    /// Files and directories.
    #[serde(default)]
    pub(crate) filesystem: FilesystemTable,
    /// Connections.
    #[serde(default)]
    pub(crate) network: NetworkTable,
    /// Limits on the whole process tree.
    #[serde(default)]
    pub(crate) process: ProcessTable,
    /// Environment variables.
    #[serde(default)]
    pub(crate) environment: EnvironmentTable,
    /// How strongly the rules have to hold before anything runs.
    #[serde(default)]
    pub(crate) enforcement: EnforcementTable,
    /// What only Windows knows.
    #[serde(default)]
    pub(crate) windows: WindowsTable,
    /// What the policy asserts about itself; a failing test refuses the policy.
    #[serde(default)]
    pub(crate) test: Vec<Located<TestTable>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Filesystem")]
pub(crate) struct FilesystemTable {
    /// Trees that the command may change; relative to the workspace, `~` is the home directory.
    pub(crate) write: Option<Vec<Located<String>>>,
    /// Never writable, even inside a write root; `@git` is hooks, configuration and gitfile of every repository.
    pub(crate) protect: Option<Vec<Located<String>>>,
    /// `host`, or the trees that may be read besides the write roots and the system's runtime.
    pub(crate) read: Option<Located<ReadValue>>,
    /// Never readable; `@secrets` is keys, cloud credentials, browser profiles and agent sockets.
    pub(crate) hide: Option<Vec<Located<String>>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Network")]
pub(crate) struct NetworkTable {
    /// Nothing, the hosts of `allow`, or everything.
    #[schemars(with = "Option<NetworkMode>")]
    pub(crate) mode: Option<Located<String>>,
    /// Hosts that may be reached: `example.com`, `*.example.com` (without example.com itself), `host:port`; without a
    /// port 443 and 80.
    pub(crate) allow: Option<Vec<Located<String>>>,
    /// Hosts that may never be reached; without a port every port. Wins over `allow`.
    pub(crate) deny: Option<Vec<Located<String>>>,
    /// Host sockets (path names) that stay reachable; a directory means every socket in it.
    pub(crate) unix_sockets: Option<Vec<Located<String>>>,
    /// The HTTP proxy that allowed connections go through: `http://host:port`.
    #[schemars(extend("pattern" = "^http://"))]
    pub(crate) upstream: Option<Located<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Process")]
pub(crate) struct ProcessTable {
    /// Wall-clock limit: `90s`, `10m`, `1h30m`.
    #[schemars(extend("pattern" = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$", "minLength" = 2))]
    pub(crate) timeout: Option<Located<String>>,
    /// Memory of all processes together: `512MiB`, `4GiB`.
    #[schemars(extend("pattern" = "^[0-9]+ *(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)$"))]
    pub(crate) memory: Option<Located<String>>,
    /// Processes and threads alive at once.
    #[schemars(range(min = 1, max = 4_194_304))]
    pub(crate) processes: Option<Located<i64>>,
    /// Processors' worth of time per wall-clock time.
    #[schemars(range(min = 0.001, max = 4096))]
    pub(crate) cpus: Option<Located<f64>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Environment")]
pub(crate) struct EnvironmentTable {
    /// Variables of the caller that pass: names, or prefixes followed by `*`. All others are dropped.
    pub(crate) pass: Option<Vec<Located<String>>>,
    /// Variables set to a literal; they win over passed ones.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(crate) set: Option<BTreeMap<Located<String>, Located<String>>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Enforcement")]
pub(crate) struct EnforcementTable {
    /// The least strength that `run` starts with.
    #[schemars(with = "Option<Require>")]
    pub(crate) require: Option<Located<String>>,
    /// Rules that may be weaker than `require`.
    #[schemars(with = "Option<Vec<RuleId>>")]
    pub(crate) accept_degraded: Option<Vec<Located<String>>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Windows")]
pub(crate) struct WindowsTable {
    /// Whether Everyone (S-1-1-0) may be among the restricting SIDs of the token.
    #[schemars(with = "Option<Everyone>")]
    pub(crate) everyone: Option<Located<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "Test",
    extend("oneOf" = [{ "required": ["connect"] }, { "required": ["write"] }, { "required": ["read"] }])
)]
pub(crate) struct TestTable {
    /// Connecting to this host; port 443 unless one follows after `:`.
    pub(crate) connect: Option<Located<String>>,
    /// Changing this file.
    pub(crate) write: Option<Located<String>>,
    /// Reading this file.
    pub(crate) read: Option<Located<String>>,
    /// What the policy has to say to it.
    #[schemars(required, with = "Verdict")]
    pub(crate) expect: Option<Located<String>>,
}

/// The value of `filesystem.read`.
#[derive(Debug)]
pub(crate) enum ReadValue {
    /// Should be `host`.
    Word(String),
    /// Trees.
    Roots(Vec<Located<String>>),
}

impl<'de> Deserialize<'de> for ReadValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrRoots;

        impl<'de> Visitor<'de> for WordOrRoots {
            type Value = ReadValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E>(self, word: &str) -> Result<ReadValue, E> {
                Ok(ReadValue::Word(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, roots: A) -> Result<ReadValue, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(roots)).map(ReadValue::Roots)
            }
        }

        deserializer.deserialize_any(WordOrRoots)
    }
}

impl JsonSchema for ReadValue {
    fn schema_name() -> Cow<'static, str> {
        "Read".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "const": "host" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

/// A value and the bytes of the file that it was written in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
#[serde(bound = "T: Deserialize<'de>")]
pub(crate) struct Located<T>(Spanned<T>);

impl<T> Located<T> {
    pub(crate) fn value(&self) -> &T {
        self.0.get_ref()
    }

    pub(crate) fn span(&self) -> Range<usize> {
        self.0.span()
    }
}

impl<T: JsonSchema> JsonSchema for Located<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Every key, dotted, and what its value has to be; sorted by table.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("version", "the number 1: `version = 1`"),
    ("extends", "the name of a profile or the path of a policy: `extends = \"workspace\"`"),
    ("filesystem", "a table: `[filesystem]`"),
    ("filesystem.write", "a list of paths: `write = [\".\"]`"),
    ("filesystem.protect", "a list of paths: `protect = [\"@git\", \".vscode\"]`"),
    ("filesystem.read", "\"host\" or a list of paths: `read = [\".\", \"~/.cargo\"]`"),
    ("filesystem.hide", "a list of paths: `hide = [\"@secrets\"]`"),
    ("network", "a table: `[network]`"),
    ("network.mode", "a string: `mode = \"allowlist\"`"),
    ("network.allow", "a list of hosts: `allow = [\"example.com\", \"*.example.com:443\"]`"),
    ("network.deny", "a list of hosts: `deny = [\"example.com\"]`"),
    ("network.unix_sockets", "a list of paths: `unix_sockets = [\"/run/user/1000/example.sock\"]`"),
    ("network.upstream", "a string: `upstream = \"http://proxy.example:3128\"`"),
    ("process", "a table: `[process]`"),
    ("process.timeout", "a string: `timeout = \"10m\"`"),
    ("process.memory", "a string: `memory = \"4GiB\"`"),
    ("process.processes", "a whole number: `processes = 256`"),
    ("process.cpus", "a number: `cpus = 2.0`"),
    ("environment", "a table: `[environment]`"),
    ("environment.pass", "a list of names: `pass = [\"PATH\", \"LC_*\"]`"),
    ("environment.set", "a table of strings: `set = { CI = \"1\" }`"),
    ("enforcement", "a table: `[enforcement]`"),
    ("enforcement.require", "a string: `require = \"kernel\"`"),
    ("enforcement.accept_degraded", "a list of rules: `accept_degraded = [\"process.cpus\"]`"),
    ("windows", "a table: `[windows]`"),
    ("windows.everyone", "a string: `everyone = \"auto\"`"),
    ("test", "a list of tables, each written as `[[test]]`"),
    ("test.connect", "a string: `connect = \"example.com\"`"),
    ("test.write", "a string: `write = \".git/hooks/pre-commit\"`"),
    ("test.read", "a string: `read = \"~/.ssh/id_ed25519\"`"),
    ("test.expect", "\"allow\" or \"deny\": `expect = \"deny\"`"),
];

/// What the value of a key has to be.
pub(crate) fn expectation(key: &str) -> &'static str {
    if key.starts_with("environment.set.") {
        return "a string: `set = { CI = \"1\" }`";
    }
    KEYS.iter().find(|(known, _)| *known == key).map_or("something else", |(_, expected)| expected)
}

/// The keys of a table; the empty table is the top level.
pub(crate) fn keys_of(table: &str) -> Vec<&'static str> {
    KEYS.iter()
        .filter_map(|(key, _)| match key.rsplit_once('.') {
            Some((above, name)) => (above == table).then_some(name),
            None => table.is_empty().then_some(*key),
        })
        .collect()
}
