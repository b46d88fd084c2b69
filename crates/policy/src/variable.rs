//! Names of environment variables.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::names::System;
use crate::value_error::ValueError;

/// One entry of `environment.pass`: a name, or a prefix followed by `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum VariablePattern {
    /// This variable.
    Exact(Cow<'static, str>),
    /// Every variable whose name starts so; an empty prefix means all.
    Prefix(Cow<'static, str>),
}

impl VariablePattern {
    /// Whether the variable is meant, by the rules of the system that this program was built for.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.matches_on(name.as_bytes(), System::current())
    }

    /// Whether the variable is meant on `system`, where the name may hold any bytes
    /// ([`OsStr::as_encoded_bytes`](std::ffi::OsStr::as_encoded_bytes)). Windows ignores case.
    #[must_use]
    pub fn matches_on(&self, name: &[u8], system: System) -> bool {
        let same = |a: &[u8], b: &[u8]| match system {
            System::Linux => a == b,
            System::Windows => a.eq_ignore_ascii_case(b),
        };
        match self {
            Self::Exact(exact) => same(exact.as_bytes(), name),
            Self::Prefix(prefix) => name.get(..prefix.len()).is_some_and(|start| same(prefix.as_bytes(), start)),
        }
    }

    /// The pattern that matches exactly what both match; `None` where that is nothing.
    #[must_use]
    pub fn intersect(&self, other: &Self, system: System) -> Option<Self> {
        match (self, other) {
            (Self::Exact(name), pattern) | (pattern, Self::Exact(name)) => {
                pattern.matches_on(name.as_bytes(), system).then(|| Self::Exact(name.clone()))
            }
            (Self::Prefix(a), Self::Prefix(b)) => {
                let (short, long) = if a.len() <= b.len() { (self, b) } else { (other, a) };
                short.matches_on(long.as_bytes(), system).then(|| Self::Prefix(long.clone()))
            }
        }
    }
}

/// The set of variables that `@usual` stands for in `environment.pass`.
pub(crate) const USUAL: &str = "@usual";

/// What `@usual` means: what shells and toolchains need, on every system, and nothing that carries a token or leads to an
/// agent.
pub(crate) fn usual_variables() -> impl Iterator<Item = VariablePattern> {
    USUAL_NAMES.iter().map(|name| match name.strip_suffix('*') {
        Some(prefix) => VariablePattern::Prefix(Cow::Borrowed(prefix)),
        None => VariablePattern::Exact(Cow::Borrowed(name)),
    })
}

// Names, never prefixes that a token could share: CARGO_* would pass CARGO_REGISTRY_TOKEN. No agent's or keyring's
// socket, no proxy setting, since both may carry credentials.
#[rustfmt::skip]
const USUAL_NAMES: &[&str] = &[
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "CI",
    "TERM", "TERMINFO", "TERMINFO_DIRS", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE",
    "COLUMNS", "LINES", "EDITOR", "VISUAL", "PAGER", "LESS",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_DIRS", "XDG_DATA_DIRS",
    "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO",
    "CC", "CXX", "AR", "LD", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "CPATH", "LIBRARY_PATH",
    "LD_LIBRARY_PATH", "PKG_CONFIG_PATH", "CMAKE_GENERATOR", "CMAKE_PREFIX_PATH",
    "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_JOBS", "CARGO_INCREMENTAL", "CARGO_NET_OFFLINE", "CARGO_TERM_COLOR",
    "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTFLAGS", "RUSTDOCFLAGS", "RUST_BACKTRACE", "RUST_LOG",
    "GOPATH", "GOROOT", "GOBIN", "GOCACHE", "GOMODCACHE", "GOFLAGS", "GOOS", "GOARCH", "GOTOOLCHAIN", "CGO_ENABLED",
    "JAVA_HOME", "JDK_HOME", "MAVEN_HOME", "M2_HOME", "GRADLE_HOME", "GRADLE_USER_HOME", "SDKMAN_DIR",
    "ANDROID_HOME", "ANDROID_SDK_ROOT", "DOTNET_ROOT", "DOTNET_CLI_TELEMETRY_OPTOUT",
    "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYENV_ROOT", "PYTHONPATH", "PYTHONHOME", "PYTHONUTF8",
    "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "UV_CACHE_DIR",
    "NODE_ENV", "NODE_PATH", "NODE_OPTIONS", "NVM_DIR", "NVM_BIN", "FNM_DIR", "VOLTA_HOME", "PNPM_HOME", "BUN_INSTALL",
    "DENO_DIR", "RBENV_ROOT", "GEM_HOME", "GEM_PATH", "BUNDLE_PATH",
    "ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR", "HOMEBREW_PREFIX", "NIX_PATH", "NIX_PROFILES", "NIX_SSL_CERT_FILE",
    "SystemRoot", "SystemDrive", "windir", "ComSpec", "PATHEXT", "OS", "DriverData", "PSModulePath",
    "USERNAME", "USERDOMAIN", "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "COMPUTERNAME",
    "ALLUSERSPROFILE", "PUBLIC", "ProgramData", "ProgramFiles", "ProgramFiles(x86)", "ProgramW6432",
    "CommonProgramFiles", "CommonProgramFiles(x86)", "CommonProgramW6432",
    "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "PROCESSOR_IDENTIFIER", "PROCESSOR_LEVEL", "PROCESSOR_REVISION",
    "INCLUDE", "LIB", "LIBPATH", "VSINSTALLDIR", "VCINSTALLDIR", "VCToolsInstallDir", "VSCMD_ARG_TGT_ARCH",
    "WindowsSdkDir", "WindowsSDKVersion", "UniversalCRTSdkDir", "UCRTVersion", "MSYSTEM", "ChocolateyInstall", "SCOOP",
];

/// Checks the name of a variable that is set to a literal.
pub(crate) fn check_name(name: &str) -> Result<(), ValueError> {
    let refuse = |problem| Err(ValueError::Variable { text: name.to_owned(), problem });
    match name.chars().find(|c| c.is_control() || matches!(c, '=' | '*')) {
        _ if name.is_empty() => refuse("it is empty"),
        _ if name.len() > 255 => refuse("it is longer than 255 bytes"),
        Some('=') => refuse("a name holds no `=`"),
        Some('*') => refuse("`*` can only stand at the end of an entry of `pass`"),
        Some(_) => refuse("a name holds no control characters"),
        None => Ok(()),
    }
}

impl FromStr for VariablePattern {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.strip_suffix('*') {
            Some("") => Ok(Self::Prefix(Cow::Borrowed(""))),
            Some(prefix) => check_name(prefix).map(|()| Self::Prefix(Cow::Owned(prefix.to_owned()))),
            // A name of that kind is no variable of anybody's, and more likely a set that does not exist here.
            None if text.starts_with('@') => Err(ValueError::Variable {
                text: text.to_owned(),
                problem: "a name that begins with `@` is a set; the only one is `@usual`, in a policy file",
            }),
            None => check_name(text).map(|()| Self::Exact(Cow::Owned(text.to_owned()))),
        }
    }
}

impl fmt::Display for VariablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl From<VariablePattern> for String {
    fn from(pattern: VariablePattern) -> Self {
        pattern.to_string()
    }
}

impl TryFrom<String> for VariablePattern {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}
