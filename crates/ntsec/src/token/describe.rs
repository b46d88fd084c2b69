//! A token as text: for examples, for bug reports, and to ask about a token that was printed on another machine.

use core::fmt;
use core::str::FromStr;

use super::{
    Group, GroupAttributes, IntegrityLevel, Lowbox, MandatoryPolicy, Privilege, PrivilegeAttributes, Restricting,
    Token, TokenBuilder,
};
use crate::{Error, Sid};

const LEVELS: [(&str, IntegrityLevel); 5] = [
    ("untrusted", IntegrityLevel::UNTRUSTED),
    ("low", IntegrityLevel::LOW),
    ("medium", IntegrityLevel::MEDIUM),
    ("high", IntegrityLevel::HIGH),
    ("system", IntegrityLevel::SYSTEM),
];

impl FromStr for Token {
    type Err = Error;

    /// Reads one item a line; empty lines and lines that begin with `#` are skipped. SIDs as in SDDL.
    ///
    /// ```text
    /// user S-1-5-21-1-2-3-1001 [deny-only]
    /// group BA [deny-only | disabled | logon | owner]
    /// privilege SeChangeNotifyPrivilege [disabled]
    /// integrity untrusted | low | medium | high | system | NUMBER
    /// labels off
    /// owner SID
    /// primary-group SID
    /// restricting SID | none
    /// write-restricted
    /// package SID
    /// capability SID
    /// less-privileged
    /// ```
    ///
    /// The rows of `whoami /user /groups /priv /fo csv /nh` (in English) are understood too; `whoami` does not show restricting
    /// SIDs, so add those as lines of their own.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut draft = Draft::default();
        for (place, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let read = if line.starts_with('"') { draft.whoami_row(line) } else { draft.item(line) };
            read.map_err(|reason| Error::TokenDescription { line: place + 1, reason })?;
        }
        draft.finish().map_err(|reason| Error::TokenDescription { line: text.lines().count(), reason })
    }
}

/// What has been read so far.
#[derive(Default)]
struct Draft {
    user: Option<(Sid, bool)>,
    groups: Vec<Group>,
    privileges: Vec<(Privilege, PrivilegeAttributes)>,
    integrity: Option<IntegrityLevel>,
    labels_off: bool,
    owner: Option<Sid>,
    primary_group: Option<Sid>,
    restricting: Option<Vec<Sid>>,
    write_restricted: bool,
    package: Option<Sid>,
    capabilities: Vec<Group>,
    less_privileged: bool,
}

impl Draft {
    fn item(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let key = words.next().unwrap_or_default();
        let value = words.next();
        let options: Vec<&str> = words.collect();
        let sid = || {
            let text = value.ok_or(format!("`{key}` needs a SID"))?;
            Sid::from_sddl(text).map_err(|error| format!("`{text}`: {error}"))
        };
        let allowed: &[&str] = match key {
            "user" => &["deny-only"],
            "group" => &["deny-only", "disabled", "logon", "owner"],
            "privilege" => &["disabled"],
            _ => &[],
        };
        if let Some(unknown) = options.iter().find(|option| !allowed.contains(option)) {
            return Err(format!("unknown option `{unknown}` of `{key}`"));
        }
        match key {
            "user" => self.user = Some((sid()?, options.contains(&"deny-only"))),
            "group" => self.groups.push(Group { sid: sid()?, attributes: group_attributes(&options) }),
            "privilege" => {
                let privilege = value
                    .and_then(Privilege::from_name)
                    .ok_or("unknown privilege: write its name as in SeChangeNotifyPrivilege")?;
                self.privileges.push((privilege, privilege_state(!options.contains(&"disabled"))));
            }
            "integrity" => {
                let level = value.unwrap_or_default();
                let named = LEVELS.iter().find(|(name, _)| *name == level).map(|(_, level)| *level);
                let level = named.or_else(|| level.parse().ok().map(IntegrityLevel));
                self.integrity = Some(level.ok_or("unknown integrity level")?);
            }
            "labels" if value == Some("off") => self.labels_off = true,
            "owner" => self.owner = Some(sid()?),
            "primary-group" => self.primary_group = Some(sid()?),
            "restricting" if value == Some("none") => self.restricting = Some(Vec::new()),
            "restricting" => self.restricting.get_or_insert_default().push(sid()?),
            "write-restricted" if value.is_none() => self.write_restricted = true,
            "package" => self.package = Some(sid()?),
            "capability" => self.capabilities.push(Group { sid: sid()?, attributes: GroupAttributes::ENABLED }),
            "less-privileged" if value.is_none() => self.less_privileged = true,
            _ => return Err(format!("cannot read `{line}`")),
        }
        Ok(())
    }

    /// A row of `whoami /fo csv`: a user, a group with its attributes, or a privilege.
    fn whoami_row(&mut self, line: &str) -> Result<(), String> {
        let fields: Vec<&str> = line
            .strip_prefix('"')
            .and_then(|line| line.strip_suffix('"'))
            .ok_or("the quotes do not match")?
            .split("\",\"")
            .collect();
        match fields.as_slice() {
            [_, sid] => {
                let sid = sid.parse().map_err(|error: Error| error.to_string())?;
                self.user = Some((sid, false));
            }
            [name, _, state] if Privilege::from_name(name).is_some() => {
                let enabled = match *state {
                    "Enabled" => true,
                    "Disabled" => false,
                    other => {
                        return Err(format!("the state `{other}` is not English: run whoami in English"));
                    }
                };
                self.privileges.extend(Privilege::from_name(name).map(|known| (known, privilege_state(enabled))));
            }
            [_, _, sid, attributes] => {
                let sid: Sid = sid.parse().map_err(|error: Error| error.to_string())?;
                if let Some(level) = IntegrityLevel::from_sid(&sid) {
                    self.integrity = Some(level);
                } else if attributes.contains("deny only") {
                    self.groups.push(Group { sid, attributes: group_attributes(&["deny-only"]) });
                } else if attributes.contains("Enabled group") {
                    let is_logon = sid.starts_with(&Sid::known(5, &[5]));
                    let options: &[&str] = if is_logon { &["logon"] } else { &[] };
                    self.groups.push(Group { sid, attributes: group_attributes(options) });
                } else {
                    return Err(format!("the attributes `{attributes}` are not those of whoami in English"));
                }
            }
            _ => return Err("not a row of `whoami /user /groups /priv /fo csv /nh`".to_owned()),
        }
        Ok(())
    }

    fn finish(self) -> Result<Token, String> {
        let (user, deny_only) = self.user.ok_or("there is no `user` line")?;
        let mut builder = Token::builder(user);
        if deny_only {
            builder = builder.user_deny_only();
        }
        builder.groups = self.groups;
        builder.privileges = self.privileges;
        builder.integrity = self.integrity.unwrap_or(IntegrityLevel::MEDIUM);
        builder.owner = self.owner;
        builder.primary_group = self.primary_group;
        if self.labels_off {
            builder.mandatory_policy = MandatoryPolicy::empty();
        }
        if self.write_restricted && self.restricting.is_none() {
            return Err("`write-restricted` needs at least one `restricting` line".to_owned());
        }
        if let Some(sids) = self.restricting {
            builder = builder.restricting(Restricting { sids, write_only: self.write_restricted });
        }
        match self.package {
            Some(package) => {
                builder = builder.lowbox(Lowbox {
                    package,
                    capabilities: self.capabilities,
                    less_privileged: self.less_privileged,
                });
            }
            None if !self.capabilities.is_empty() || self.less_privileged => {
                return Err("a capability needs a `package` line".to_owned());
            }
            None => {}
        }
        Ok(builder.build())
    }
}

fn group_attributes(options: &[&str]) -> GroupAttributes {
    let mut attributes = GroupAttributes::ORDINARY;
    for option in options {
        match *option {
            "deny-only" => attributes = GroupAttributes::MANDATORY | GroupAttributes::USE_FOR_DENY_ONLY,
            "disabled" => attributes -= GroupAttributes::ENABLED,
            "logon" => attributes |= GroupAttributes::LOGON_ID,
            _ => attributes |= GroupAttributes::OWNER,
        }
    }
    attributes
}

fn privilege_state(enabled: bool) -> PrivilegeAttributes {
    if enabled { PrivilegeAttributes::all() } else { PrivilegeAttributes::empty() }
}

impl fmt::Display for Token {
    /// The description that [`Token::from_str`] reads; the default DACL has no place in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TokenBuilder { user, user_deny_only, owner, primary_group, .. } = &self.parts;
        writeln!(f, "user {user}{}", if *user_deny_only { " deny-only" } else { "" })?;
        for Group { sid, attributes } in &self.parts.groups {
            write!(f, "group {sid}")?;
            for (name, shown) in [
                ("deny-only", attributes.contains(GroupAttributes::USE_FOR_DENY_ONLY)),
                ("disabled", !attributes.intersects(GroupAttributes::ENABLED | GroupAttributes::USE_FOR_DENY_ONLY)),
                ("logon", attributes.contains(GroupAttributes::LOGON_ID)),
                ("owner", attributes.contains(GroupAttributes::OWNER)),
            ] {
                if shown {
                    write!(f, " {name}")?;
                }
            }
            writeln!(f)?;
        }
        for (privilege, state) in &self.parts.privileges {
            let suffix = if state.contains(PrivilegeAttributes::ENABLED) { "" } else { " disabled" };
            writeln!(f, "privilege {}{suffix}", privilege.name())?;
        }
        match LEVELS.iter().find(|(_, level)| *level == self.parts.integrity) {
            Some((name, _)) => writeln!(f, "integrity {name}")?,
            None => writeln!(f, "integrity {}", self.parts.integrity.0)?,
        }
        if !self.parts.mandatory_policy.contains(MandatoryPolicy::NO_WRITE_UP) {
            writeln!(f, "labels off")?;
        }
        for (key, sid) in [("owner", owner), ("primary-group", primary_group)] {
            if let Some(sid) = sid {
                writeln!(f, "{key} {sid}")?;
            }
        }
        if let Some(restricting) = &self.parts.restricting {
            if restricting.sids.is_empty() {
                writeln!(f, "restricting none")?;
            }
            restricting.sids.iter().try_for_each(|sid| writeln!(f, "restricting {sid}"))?;
            if restricting.write_only {
                writeln!(f, "write-restricted")?;
            }
        }
        if let Some(lowbox) = &self.parts.lowbox {
            writeln!(f, "package {}", lowbox.package)?;
            lowbox.capabilities.iter().try_for_each(|group| writeln!(f, "capability {}", group.sid))?;
            if lowbox.less_privileged {
                writeln!(f, "less-privileged")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_come_back() {
        let text = "user S-1-5-21-1-2-3-1001\ngroup S-1-5-32-544 deny-only\ngroup S-1-5-5-0-77 logon\ngroup S-1-1-0\n\
                    privilege SeChangeNotifyPrivilege\nprivilege SeShutdownPrivilege disabled\nintegrity medium\n\
                    restricting S-1-5-5-0-77\nwrite-restricted\n";
        let token: Token = text.parse().unwrap();
        assert_eq!(token.to_string(), text);
        assert_eq!(token.logon_sid(), Some(&"S-1-5-5-0-77".parse().unwrap()));
        let lowbox = "user S-1-5-21-1-2-3-1001\nintegrity low\npackage S-1-15-2-1-2-3-4-5-6-7\ncapability S-1-15-3-1\n";
        assert_eq!(lowbox.parse::<Token>().unwrap().to_string(), lowbox);
    }

    #[test]
    fn whoami_is_understood() {
        let token: Token = "\"host\\ann\",\"S-1-5-21-1-2-3-1001\"\n\
            \"Everyone\",\"Well-known group\",\"S-1-1-0\",\"Mandatory group, Enabled by default, Enabled group\"\n\
            \"BUILTIN\\Administrators\",\"Alias\",\"S-1-5-32-544\",\"Group used for deny only\"\n\
            \"Mandatory Label\\Medium Mandatory Level\",\"Label\",\"S-1-16-8192\",\"\"\n\
            \"SeChangeNotifyPrivilege\",\"Bypass traverse checking\",\"Enabled\"\n\
            # what whoami does not show\nrestricting WD\n"
            .parse()
            .unwrap();
        assert_eq!(token.groups().len(), 2);
        assert!(token.groups()[1].attributes.contains(GroupAttributes::USE_FOR_DENY_ONLY));
        assert!(token.has_privilege(Privilege::ChangeNotify));
        assert_eq!(token.restricting().unwrap().sids.len(), 1);
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, line) in [
            ("group BA", 1),
            ("user BA\ngroup QQ", 2),
            ("user BA\n\nfoo", 3),
            ("user BA\nwrite-restricted", 2),
            ("user BA\ngroup BA denied", 2),
            ("user BA\n\"a\",\"b\",\"S-1-1-0\",\"Groupe obligatoire\"", 2),
            ("user BA\ncapability S-1-15-3-1", 2),
        ] {
            match text.parse::<Token>() {
                Err(Error::TokenDescription { line: found, .. }) => {
                    assert_eq!(found, line, "{text}")
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
