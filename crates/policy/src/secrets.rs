//! Where secrets and the runtime of a system lie.

use std::path::{Path, PathBuf};

use crate::anchor::Anchors;
use crate::names::System;

/// What `@secrets` means: places of keys, cloud credentials, browser profiles, shell histories and agents' own
/// credentials. A pure list; most of the places do not exist on a given machine. Sockets of ssh-agent and its like are
/// not listed: host sockets are unreachable unless `network.unix_sockets` names them.
#[must_use]
pub fn secret_locations(anchors: &Anchors) -> Vec<PathBuf> {
    let system = anchors.system;
    let home = anchors.home.iter().flat_map(|home| secrets_in_home(system).map(|name| join_home(home, name, system)));
    home.chain(secrets_elsewhere(system).map(PathBuf::from)).collect()
}

/// The part of [`secret_locations`] that lies below a home directory, as names that are separated by `/`.
pub fn secrets_in_home(system: System) -> impl Iterator<Item = &'static str> {
    let own = match system {
        System::Linux => HOME_LINUX,
        System::Windows => HOME_WINDOWS,
    };
    HOME.iter().chain(own).copied()
}

/// The part of [`secret_locations`] that is the same for every user.
pub fn secrets_elsewhere(system: System) -> impl Iterator<Item = &'static str> {
    match system {
        System::Linux => ABSOLUTE_LINUX,
        System::Windows => ABSOLUTE_WINDOWS,
    }
    .iter()
    .copied()
}

/// What stays readable when `filesystem.read` is a list: the loader, libraries, programs and public configuration.
/// Places that a host does not have are skipped by whoever uses the list.
#[must_use]
pub fn runtime_locations(system: System) -> Vec<PathBuf> {
    let locations = match system {
        System::Linux => RUNTIME_LINUX,
        System::Windows => RUNTIME_WINDOWS,
    };
    locations.iter().map(PathBuf::from).collect()
}

/// A place below the home directory, its name separated by `/`. (`Path::join` would separate by the rules of the system
/// that this program runs on.)
pub(crate) fn join_home(home: &Path, name: &str, system: System) -> PathBuf {
    match system {
        System::Linux => join(home, "/", name),
        System::Windows => join(home, "\\", &name.replace('/', "\\")),
    }
}

fn join(home: &Path, separator: &str, name: &str) -> PathBuf {
    let mut path = home.as_os_str().to_owned();
    if !path.as_encoded_bytes().ends_with(separator.as_bytes()) {
        path.push(separator);
    }
    path.push(name);
    path.into()
}

/// Below the home directory, on every system.
const HOME: &[&str] = &[
    // keys and passwords
    ".ssh",
    ".gnupg",
    ".netrc",
    ".git-credentials",
    ".config/git/credentials",
    ".pgpass",
    ".my.cnf",
    ".mylogin.cnf",
    ".vault-token",
    ".password-store",
    ".config/age",
    ".config/sops",
    ".config/op",
    ".putty",
    // clouds
    ".aws",
    ".azure",
    ".config/gcloud",
    ".boto",
    ".s3cfg",
    ".oci",
    ".bluemix",
    ".aliyun",
    ".config/doctl",
    ".config/hcloud",
    ".config/linode-cli",
    ".config/scw",
    ".config/rclone",
    ".config/netlify",
    ".config/.wrangler",
    ".wrangler",
    ".fly",
    ".databricks.cfg",
    ".snowflake",
    ".snowsql",
    ".kaggle",
    ".cache/huggingface/token",
    ".sentryclirc",
    ".supabase/access-token",
    ".config/stripe",
    // containers and infrastructure
    ".kube",
    ".docker",
    ".config/containers/auth.json",
    ".terraformrc",
    ".terraform.d/credentials.tfrc.json",
    ".config/helm",
    // forges and package registries
    ".config/gh",
    ".config/hub",
    ".config/glab-cli",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".pip/pip.conf",
    ".config/pip/pip.conf",
    ".config/pypoetry/auth.toml",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".bundle/config",
    ".composer/auth.json",
    ".m2/settings.xml",
    ".m2/settings-security.xml",
    ".gradle/gradle.properties",
    ".nuget/NuGet/NuGet.Config",
    ".subversion/auth",
    // agents
    ".claude/.credentials.json",
    ".claude.json",
    ".codex/auth.json",
    ".gemini/oauth_creds.json",
    ".config/github-copilot",
    ".local/share/opencode/auth.json",
    ".config/goose",
    // histories, where people type secrets
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".node_repl_history",
    ".psql_history",
    ".mysql_history",
    ".sqlite_history",
    ".rediscli_history",
    // wallets
    ".bitcoin",
    ".ethereum",
    ".electrum",
    ".config/solana",
];

const HOME_LINUX: &[&str] = &[
    // key rings and session cookies
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".pki",
    ".Xauthority",
    ".ICEauthority",
    ".config/1Password",
    ".config/Bitwarden",
    ".config/keepassxc",
    ".config/remmina",
    ".config/filezilla",
    ".vnc",
    ".config/NuGet",
    ".config/composer/auth.json",
    ".local/share/fish/fish_history",
    ".local/share/com.vercel.cli",
    // browsers and messengers
    ".mozilla",
    ".thunderbird",
    ".config/google-chrome",
    ".config/chromium",
    ".config/BraveSoftware",
    ".config/microsoft-edge",
    ".config/vivaldi",
    ".config/opera",
    ".config/Signal",
    ".config/Slack",
    ".config/discord",
    "snap/firefox",
    "snap/chromium",
    ".var/app/org.mozilla.firefox",
    ".var/app/org.mozilla.Thunderbird",
    ".var/app/com.google.Chrome",
    ".var/app/org.chromium.Chromium",
    ".var/app/com.brave.Browser",
    ".var/app/com.microsoft.Edge",
    // editors that keep tokens
    ".config/Code/User/globalStorage",
    ".config/Cursor/User/globalStorage",
];

const HOME_WINDOWS: &[&str] = &[
    "_netrc",
    // DPAPI, vaults and tokens
    "AppData/Roaming/Microsoft/Credentials",
    "AppData/Roaming/Microsoft/Crypto",
    "AppData/Roaming/Microsoft/Protect",
    "AppData/Roaming/Microsoft/SystemCertificates",
    "AppData/Roaming/Microsoft/Vault",
    "AppData/Roaming/Microsoft/UserSecrets",
    "AppData/Roaming/Microsoft/Windows/PowerShell/PSReadLine",
    "AppData/Local/Microsoft/Credentials",
    "AppData/Local/Microsoft/Vault",
    "AppData/Local/Microsoft/TokenBroker",
    "AppData/Local/Microsoft/OneAuth",
    "AppData/Local/Microsoft/IdentityCache",
    "AppData/Local/.IdentityService",
    "AppData/Local/1Password",
    "AppData/Roaming/Bitwarden",
    "AppData/Roaming/KeePass",
    // clouds, forges, registries
    "AppData/Roaming/gcloud",
    "AppData/Roaming/gnupg",
    "AppData/Roaming/GitHub CLI",
    "AppData/Roaming/glab-cli",
    "AppData/Roaming/NuGet",
    "AppData/Roaming/Composer/auth.json",
    "AppData/Roaming/pip/pip.ini",
    "AppData/Roaming/pypoetry/auth.toml",
    "AppData/Roaming/Subversion/auth",
    "AppData/Roaming/terraform.d",
    "AppData/Roaming/terraform.rc",
    "AppData/Roaming/rclone",
    "AppData/Roaming/Docker",
    "AppData/Roaming/FileZilla",
    "AppData/Roaming/WinSCP.ini",
    "AppData/Local/github-copilot",
    // browsers, mail, messengers
    "AppData/Roaming/Mozilla",
    "AppData/Roaming/Thunderbird",
    "AppData/Roaming/Opera Software",
    "AppData/Roaming/Signal",
    "AppData/Roaming/Slack",
    "AppData/Roaming/discord",
    "AppData/Roaming/Telegram Desktop",
    "AppData/Local/Google/Chrome/User Data",
    "AppData/Local/Chromium/User Data",
    "AppData/Local/Microsoft/Edge/User Data",
    "AppData/Local/BraveSoftware",
    "AppData/Local/Vivaldi",
    "AppData/Local/Microsoft/Outlook",
    // editors that keep tokens
    "AppData/Roaming/Code/User/globalStorage",
    "AppData/Roaming/Cursor/User/globalStorage",
    // wallets
    "AppData/Roaming/Bitcoin",
    "AppData/Roaming/Electrum",
    "AppData/Roaming/Ethereum",
];

/// Matters to root, and in containers and clusters.
const ABSOLUTE_LINUX: &[&str] = &[
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/krb5.keytab",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssl/private",
    "/etc/pki/tls/private",
    "/etc/letsencrypt",
    "/etc/wireguard",
    "/etc/openvpn",
    "/etc/NetworkManager/system-connections",
    "/etc/kubernetes",
    "/etc/rancher",
    "/run/secrets",
    "/var/run/secrets",
];

const ABSOLUTE_WINDOWS: &[&str] = &[
    "C:\\Windows\\System32\\config",
    "C:\\Windows\\Panther",
    "C:\\ProgramData\\ssh",
    "C:\\ProgramData\\Microsoft\\Crypto",
    "C:\\ProgramData\\Microsoft\\Vault",
    "C:\\ProgramData\\Microsoft\\Wlansvc",
    "C:\\ProgramData\\docker",
];

const RUNTIME_LINUX: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/dev",
    "/proc",
    "/sys",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/debian_version",
    "/etc/gai.conf",
    "/etc/gitconfig",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/locale.alias",
    "/etc/locale.conf",
    "/etc/localtime",
    "/etc/lsb-release",
    "/etc/machine-id",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/shells",
    "/etc/ssl",
    "/etc/static",
    "/etc/terminfo",
    "/etc/timezone",
    "/run/systemd/resolve",
];

const RUNTIME_WINDOWS: &[&str] = &[
    "C:\\Windows",
    "C:\\Program Files",
    "C:\\Program Files (x86)",
    "C:\\ProgramData\\Microsoft\\NetFramework",
    "C:\\ProgramData\\Microsoft\\Windows\\AppRepository",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::PathKey;

    #[test]
    fn every_place_is_absolute_and_named_once() {
        let linux = Anchors { workspace: "/w".into(), home: Some("/".into()), system: System::Linux };
        let windows =
            Anchors { workspace: "C:\\w".into(), home: Some("C:\\Users\\Me".into()), system: System::Windows };
        for anchors in [linux, windows] {
            for list in [secret_locations(&anchors), runtime_locations(anchors.system)] {
                let mut keys: Vec<_> =
                    list.iter().map(|path| PathKey::new(path, anchors.system).expect("absolute")).collect();
                keys.sort();
                keys.dedup();
                assert_eq!(keys.len(), list.len());
            }
        }
    }

    #[test]
    fn the_home_decides() {
        let anchors = |home: Option<&str>| Anchors {
            workspace: "/w".into(),
            home: home.map(PathBuf::from),
            system: System::Linux,
        };
        assert!(secret_locations(&anchors(Some("/home/me"))).contains(&PathBuf::from("/home/me/.ssh")));
        assert!(!secret_locations(&anchors(None)).iter().any(|path| path.ends_with(".ssh")));
        assert!(secret_locations(&anchors(None)).contains(&PathBuf::from("/etc/shadow")));
    }
}
