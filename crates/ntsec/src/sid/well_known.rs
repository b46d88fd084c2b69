//! SIDs that are the same on every machine, and the two-letter aliases of SDDL.
//!
//! Sources: MS-DTYP §2.4.2.4, §2.5.1.1 and <https://learn.microsoft.com/windows/win32/secauthz/sid-strings>.

use super::Sid;
use crate::error::{Error, SddlProblem};
use crate::sddl::Domains;

macro_rules! well_known {
    ($($(#[$doc:meta])* $name:ident = $authority:literal $(, $sub:literal)*;)*) => {
        $($(#[$doc])* pub const $name: Sid = Sid::known($authority, &[$($sub),*]);)*
    };
}

well_known! {
    /// Nobody.
    NULL = 0, 0;
    /// Everyone (World).
    EVERYONE = 1, 0;
    /// CREATOR OWNER: replaced by the new object's owner at inheritance.
    CREATOR_OWNER = 3, 0;
    /// CREATOR GROUP: replaced by the new object's primary group at inheritance.
    CREATOR_GROUP = 3, 1;
    /// OWNER RIGHTS: stands for the object's current owner and switches off the owner's implied rights.
    OWNER_RIGHTS = 3, 4;
    /// NETWORK logons.
    NETWORK = 5, 2;
    /// INTERACTIVE logons.
    INTERACTIVE = 5, 4;
    /// SERVICE logons.
    SERVICE = 5, 6;
    /// ANONYMOUS LOGON.
    ANONYMOUS = 5, 7;
    /// Enterprise domain controllers.
    ENTERPRISE_DOMAIN_CONTROLLERS = 5, 9;
    /// PRINCIPAL SELF of the directory service.
    PRINCIPAL_SELF = 5, 10;
    /// Authenticated Users.
    AUTHENTICATED_USERS = 5, 11;
    /// RESTRICTED: usual in the restricting list of tokens for restricted code.
    RESTRICTED_CODE = 5, 12;
    /// Local System.
    LOCAL_SYSTEM = 5, 18;
    /// LOCAL SERVICE.
    LOCAL_SERVICE = 5, 19;
    /// NETWORK SERVICE.
    NETWORK_SERVICE = 5, 20;
    /// WRITE RESTRICTED: usual in the restricting list of write-restricted services.
    WRITE_RESTRICTED_CODE = 5, 33;
    /// BUILTIN\Administrators.
    ADMINISTRATORS = 5, 32, 544;
    /// BUILTIN\Users.
    USERS = 5, 32, 545;
    /// BUILTIN\Guests.
    GUESTS = 5, 32, 546;
    /// BUILTIN\Power Users.
    POWER_USERS = 5, 32, 547;
    /// BUILTIN\Backup Operators.
    BACKUP_OPERATORS = 5, 32, 551;
    /// NT SERVICE\TrustedInstaller.
    TRUSTED_INSTALLER = 5, 80, 956008885, 3418522649, 1831038044, 1853292631, 2271478464;
    /// ALL APPLICATION PACKAGES.
    ALL_APPLICATION_PACKAGES = 15, 2, 1;
    /// ALL RESTRICTED APPLICATION PACKAGES.
    ALL_RESTRICTED_APPLICATION_PACKAGES = 15, 2, 2;
    /// Untrusted mandatory level.
    UNTRUSTED_INTEGRITY = 16, 0;
    /// Low mandatory level.
    LOW_INTEGRITY = 16, 4096;
    /// Medium mandatory level.
    MEDIUM_INTEGRITY = 16, 8192;
    /// Medium plus mandatory level.
    MEDIUM_PLUS_INTEGRITY = 16, 8448;
    /// High mandatory level.
    HIGH_INTEGRITY = 16, 12288;
    /// System mandatory level.
    SYSTEM_INTEGRITY = 16, 16384;
}

/// What an alias of SDDL stands for.
enum Alias {
    /// The same SID everywhere.
    Fixed(Sid),
    /// This RID in the computer's domain.
    Domain(u32),
    /// This RID in the forest's root domain.
    RootDomain(u32),
    /// This RID in the machine's own account database.
    Machine(u32),
}

const fn builtin(rid: u32) -> Alias {
    Alias::Fixed(Sid::known(5, &[32, rid]))
}

/// Sorted by alias.
#[rustfmt::skip]
const ALIASES: &[([u8; 2], Alias)] = &[
    (*b"AA", builtin(579)), (*b"AC", Alias::Fixed(ALL_APPLICATION_PACKAGES)), (*b"AN", Alias::Fixed(ANONYMOUS)),
    (*b"AO", builtin(548)), (*b"AP", Alias::Domain(525)), (*b"AS", Alias::Fixed(Sid::known(18, &[1]))),
    (*b"AU", Alias::Fixed(AUTHENTICATED_USERS)), (*b"BA", Alias::Fixed(ADMINISTRATORS)), (*b"BG", Alias::Fixed(GUESTS)),
    (*b"BO", Alias::Fixed(BACKUP_OPERATORS)), (*b"BU", Alias::Fixed(USERS)), (*b"CA", Alias::Domain(517)),
    (*b"CD", builtin(574)), (*b"CG", Alias::Fixed(CREATOR_GROUP)), (*b"CN", Alias::Domain(522)),
    (*b"CO", Alias::Fixed(CREATOR_OWNER)), (*b"CY", builtin(569)), (*b"DA", Alias::Domain(512)),
    (*b"DC", Alias::Domain(515)), (*b"DD", Alias::Domain(516)), (*b"DG", Alias::Domain(514)),
    (*b"DU", Alias::Domain(513)), (*b"EA", Alias::RootDomain(519)),
    (*b"ED", Alias::Fixed(ENTERPRISE_DOMAIN_CONTROLLERS)), (*b"EK", Alias::RootDomain(527)), (*b"ER", builtin(573)),
    (*b"ES", builtin(576)), (*b"HA", builtin(578)), (*b"HI", Alias::Fixed(HIGH_INTEGRITY)), (*b"IS", builtin(568)),
    (*b"IU", Alias::Fixed(INTERACTIVE)), (*b"KA", Alias::Domain(526)), (*b"LA", Alias::Machine(500)),
    (*b"LG", Alias::Machine(501)), (*b"LS", Alias::Fixed(LOCAL_SERVICE)), (*b"LU", builtin(559)),
    (*b"LW", Alias::Fixed(LOW_INTEGRITY)), (*b"ME", Alias::Fixed(MEDIUM_INTEGRITY)),
    (*b"MP", Alias::Fixed(MEDIUM_PLUS_INTEGRITY)), (*b"MS", builtin(577)), (*b"MU", builtin(558)),
    (*b"NO", builtin(556)), (*b"NS", Alias::Fixed(NETWORK_SERVICE)), (*b"NU", Alias::Fixed(NETWORK)),
    (*b"OW", Alias::Fixed(OWNER_RIGHTS)), (*b"PA", Alias::RootDomain(520)), (*b"PO", builtin(550)),
    (*b"PS", Alias::Fixed(PRINCIPAL_SELF)), (*b"PU", Alias::Fixed(POWER_USERS)), (*b"RA", builtin(575)),
    (*b"RC", Alias::Fixed(RESTRICTED_CODE)), (*b"RD", builtin(555)), (*b"RE", builtin(552)), (*b"RM", builtin(580)),
    (*b"RO", Alias::RootDomain(498)), (*b"RS", Alias::Domain(553)), (*b"RU", builtin(554)),
    (*b"SA", Alias::RootDomain(518)), (*b"SI", Alias::Fixed(SYSTEM_INTEGRITY)), (*b"SO", builtin(549)),
    (*b"SS", Alias::Fixed(Sid::known(18, &[2]))), (*b"SU", Alias::Fixed(SERVICE)), (*b"SY", Alias::Fixed(LOCAL_SYSTEM)),
    (*b"UD", Alias::Fixed(Sid::known(5, &[84, 0, 0, 0, 0, 0]))), (*b"WD", Alias::Fixed(EVERYONE)),
    (*b"WR", Alias::Fixed(WRITE_RESTRICTED_CODE)),
];

impl Sid {
    /// A SID as SDDL writes it: `S-1-…` or a two-letter alias that is the same on every machine (`BA`, `WD`, …).
    ///
    /// # Errors
    /// Not a SID; an unknown alias; an alias such as `DA` that needs a domain (see [`Sid::from_sddl_in`]).
    pub fn from_sddl(text: &str) -> Result<Self, Error> {
        Self::from_sddl_in(text, &Domains::default())
    }

    /// As [`Sid::from_sddl`], with the domains that aliases such as `DA` and `LA` are relative to.
    ///
    /// # Errors
    /// As [`Sid::from_sddl`].
    pub fn from_sddl_in(text: &str, domains: &Domains) -> Result<Self, Error> {
        let (sid, length) = parse_prefix(text.as_bytes(), domains)?;
        if length == text.len() { Ok(sid) } else { Err(Error::sddl(length, SddlProblem::Unexpected)) }
    }

    /// The two-letter alias of SDDL, for SIDs that are the same on every machine.
    pub fn sddl_alias(&self) -> Option<&'static str> {
        ALIASES.iter().find_map(|(name, alias)| match alias {
            Alias::Fixed(sid) if sid == self => core::str::from_utf8(name).ok(),
            _ => None,
        })
    }
}

/// Reads `S-1-…` or an alias at the start of `text`: the SID and the bytes it took.
pub(crate) fn parse_prefix(text: &[u8], domains: &Domains) -> Result<(Sid, usize), Error> {
    if let [_, b'-', ..] = text {
        return super::parse_prefix(text);
    }
    let &[first, second, ..] = text else {
        return Err(Error::sddl(0, SddlProblem::UnknownSidAlias));
    };
    let name = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
    let place = ALIASES
        .binary_search_by_key(&name, |(alias, _)| *alias)
        .map_err(|_| Error::sddl(0, SddlProblem::UnknownSidAlias))?;
    let relative = |domain: Option<Sid>, rid: u32| {
        domain.ok_or(Error::sddl(0, SddlProblem::NeedsDomain)).and_then(|domain| domain.with_rid(rid))
    };
    let sid = match ALIASES[place].1 {
        Alias::Fixed(sid) => sid,
        Alias::Domain(rid) => relative(domains.domain, rid)?,
        Alias::RootDomain(rid) => relative(domains.root_domain.or(domains.domain), rid)?,
        Alias::Machine(rid) => relative(domains.machine, rid)?,
    };
    Ok((sid, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_sorted_and_go_both_ways() {
        assert!(ALIASES.is_sorted_by_key(|(alias, _)| *alias));
        for (name, alias) in ALIASES {
            let name = core::str::from_utf8(name).unwrap();
            match alias {
                Alias::Fixed(sid) => {
                    assert_eq!(Sid::from_sddl(name).unwrap(), *sid);
                    assert_eq!(sid.sddl_alias(), Some(name));
                }
                _ => assert_eq!(Sid::from_sddl(name), Err(Error::sddl(0, SddlProblem::NeedsDomain))),
            }
        }
    }

    #[test]
    fn relative_aliases_use_their_domain() {
        let domains = Domains {
            domain: Some("S-1-5-21-1-2-3".parse().unwrap()),
            root_domain: None,
            machine: Some("S-1-5-21-7-8-9".parse().unwrap()),
        };
        let text = |alias: &str| Sid::from_sddl_in(alias, &domains).unwrap().to_string();
        assert_eq!(text("DA"), "S-1-5-21-1-2-3-512");
        assert_eq!(text("EA"), "S-1-5-21-1-2-3-519");
        assert_eq!(text("LA"), "S-1-5-21-7-8-9-500");
    }
}
