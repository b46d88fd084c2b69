//! From a code to what a client and its user are told.

use std::net::IpAddr;

use ringfence_policy::Origin;

use crate::code::Code;
use crate::decision::Denial;
use crate::event::Verdict;
use crate::summary::flag;

/// An answer that is no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// The host in normal form, or as it was written.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Where the rule that decided was written.
    pub(crate) rule: Option<Origin>,
}

impl Refusal {
    /// What a person or a model reads: what was refused, why, and what would allow it.
    pub(crate) fn message(&self) -> String {
        let Self { code, host, port, rule } = self;
        let what = match (host.as_str(), port) {
            ("", _) => "this request".to_owned(),
            (host, 0) => host.to_owned(),
            (host, port) => format!("{host}:{port}"),
        };
        let outcome = if is_failure(*code) { "could not connect to" } else { "refused" };
        let mut message = format!("ringfence {outcome} {what} [{code}]: {}.\n", code.explanation());
        if let Some(origin) = rule {
            message += &format!("The deciding rule: {origin}.\n");
        }
        // What a name of the inner network resolves to is the operator's to know, not the command's.
        if let Some(flag) = flag(host, *port, *code, None) {
            message += &format!(
                "The command cannot change this. Who started it can: `ringfence run {flag} -- …`, or an entry in [network] allow.\n"
            );
        }
        message
    }
}

/// A yes, and whose.
pub(crate) struct Permitted {
    pub(crate) verdict: Verdict,
    pub(crate) rule: Option<Origin>,
}

/// A code on its way to becoming a refusal.
pub(crate) struct Judged {
    pub(crate) code: Code,
    pub(crate) rule: Option<Origin>,
    pub(crate) address: Option<IpAddr>,
}

impl Judged {
    /// A host that a rule allowed and that failed afterwards names that rule, unless another one refused it.
    pub(crate) fn after(self, permitting: Option<Origin>) -> Self {
        let rule = if is_failure(self.code) { permitting } else { self.rule };
        Self { rule, ..self }
    }
}

impl From<Code> for Judged {
    fn from(code: Code) -> Self {
        Self { code, rule: None, address: None }
    }
}

impl From<Denial<'_>> for Judged {
    fn from(denial: Denial<'_>) -> Self {
        Self { code: denial.code, rule: denial.origin().cloned(), address: denial.address }
    }
}

/// What text from a client may become in an event: short, on one line, ASCII.
pub(crate) fn printable(text: &str) -> String {
    text.chars().take(255).flat_map(char::escape_default).collect()
}

/// The host was allowed, and something else went wrong.
pub(crate) fn is_failure(code: Code) -> bool {
    matches!(
        code,
        Code::NameNotFound
            | Code::NameResolutionFailed
            | Code::NameResolutionTimeout
            | Code::ConnectRefused
            | Code::ConnectTimeout
            | Code::ConnectFailed
            | Code::ServerMalformed
            | Code::UpstreamFailed
            | Code::UpstreamRefused
            | Code::DescriptorsExhausted
    )
}

/// Refusals that are known only after the tunnel was opened.
pub(crate) fn is_late_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::TlsNameMissing
            | Code::TlsNameMismatch
            | Code::TlsEchNameMismatch
            | Code::TlsExpected
            | Code::TlsMalformed
            | Code::TlsHelloTimeout
    )
}
