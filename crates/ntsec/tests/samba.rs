//! Differential test against Samba's access check, an independent implementation
//! (`se_access_check`, Debian's python3-samba): thousands of random triples of descriptor, token and mask.
//!
//! Where the two are known to differ, Samba leaves Windows' documented order and the triple is not compared; the test says
//! how many those were, and that they are few:
//!
//! - MAXIMUM_ALLOWED: Samba lets any denial win whatever the order, ignores OWNER RIGHTS, and gives nothing for a NULL DACL;
//! - ACCESS_SYSTEM_SECURITY with a NULL DACL: Samba grants it without the privilege;
//! - OWNER RIGHTS together with denials: Samba applies the former after the walk instead of in their place.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ringfence_ntsec::{
    AccessCheck, AccessMask, AclState, MandatoryPolicy, ObjectType, Privilege, SecurityDescriptor, Token, well_known,
};

#[allow(dead_code, reason = "shared by several tests, none of which uses all of it")]
mod common;

use common::{Rng, Shape};

/// Reads one case a line and answers with the granted mask or `denied`, and turns SDDL into bytes.
const SERVER: &str = r#"
import sys
from samba import NTSTATUSError, security as checks
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
domain = security.dom_sid("S-1-5-21-1-2-3")
privileges = {"8": security.SEC_PRIV_SECURITY, "9": security.SEC_PRIV_TAKE_OWNERSHIP}
print("ready", flush=True)
for line in sys.stdin:
    words = line.split()
    if words[0] == "sddl":
        try:
            packed = bytearray(ndr_pack(security.descriptor.from_sddl(words[1], domain)))
            # Samba always writes the revision of directory services; the bytes are otherwise compared as they are.
            packed[int.from_bytes(packed[16:20], "little")] = int(words[2])
            print(packed.hex(), flush=True)
        except TypeError:
            print("refused", flush=True)
        continue
    descriptor = ndr_unpack(security.descriptor, bytes.fromhex(words[1]))
    token = security.token()
    sids = [security.dom_sid(sid) for sid in words[4].split(",")]
    token.sids = sids
    token.num_sids = len(sids)
    for privilege in words[3].split(","):
        if privilege in privileges:
            token.set_privilege(privileges[privilege])
    try:
        print(checks.access_check(descriptor, token, int(words[2], 16)), flush=True)
    except NTSTATUSError:
        print("denied", flush=True)
"#;

struct Samba {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Samba {
    fn start() -> Result<Samba, String> {
        // The distribution's interpreter has the module; another one that comes first in PATH may not.
        for python in ["/usr/bin/python3", "python3"] {
            let spawned = Command::new(python)
                .args(["-c", SERVER])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            let Ok(mut child) = spawned else { continue };
            let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
                continue;
            };
            let mut samba = Samba { child, input, output: BufReader::new(output) };
            if samba.line() == "ready" {
                return Ok(samba);
            }
        }
        Err("no python3 with the module `samba` (Debian: python3-samba)".to_owned())
    }

    fn ask(&mut self, question: &str) -> String {
        writeln!(self.input, "{question}").unwrap();
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// The granted mask, empty if denied.
    fn access_check(&mut self, descriptor: &SecurityDescriptor, token: &Token, desired: AccessMask) -> AccessMask {
        let sids: Vec<String> = std::iter::once(token.user())
            .chain(token.groups().iter().map(|group| &group.sid))
            .map(ToString::to_string)
            .collect();
        let privileges: Vec<String> =
            token.privileges().iter().map(|(privilege, _)| privilege.luid().to_string()).collect();
        let privileges = if privileges.is_empty() { "-".to_owned() } else { privileges.join(",") };
        let bytes = hex(&descriptor.to_bytes().unwrap());
        let answer = self.ask(&format!("check {bytes} {:x} {privileges} {}", desired.0, sids.join(",")));
        match answer.as_str() {
            "denied" => AccessMask::NONE,
            granted => AccessMask(granted.parse().unwrap_or_else(|_| panic!("Samba said {granted:?}"))),
        }
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether Samba follows Windows' order for this case.
fn comparable(descriptor: &SecurityDescriptor, token: &Token, desired: AccessMask) -> bool {
    let in_force = || descriptor.dacl.aces().iter().filter(|ace| !ace.is_inherit_only());
    let speaks_of_owner = in_force().any(|ace| ace.sid == well_known::OWNER_RIGHTS);
    let denied = in_force().filter(|ace| ace.kind.is_deny()).fold(AccessMask::NONE, |all, ace| all | ace.mask);
    if desired.contains(AccessMask::MAXIMUM_ALLOWED) {
        let holds =
            |sid: &ringfence_ntsec::Sid| token.user() == sid || token.groups().iter().any(|group| group.sid == *sid);
        let implied = AccessMask::READ_CONTROL | AccessMask::WRITE_DAC;
        let implied_and_denied = descriptor.owner.as_ref().is_some_and(holds) && denied.intersects(implied);
        return descriptor.dacl != AclState::Null && !speaks_of_owner && !implied_and_denied;
    }
    let unprotected = descriptor.dacl == AclState::Null;
    let sacl_of_unprotected = unprotected && desired.contains(AccessMask::ACCESS_SYSTEM_SECURITY);
    let owner_and_denials = speaks_of_owner && !denied.is_empty();
    !(sacl_of_unprotected || owner_and_denials)
}

#[test]
fn samba_agrees_with_the_access_check() {
    let mut samba = match Samba::start() {
        Ok(samba) => samba,
        Err(reason) => {
            eprintln!("skipped: {reason}");
            return;
        }
    };
    let pool = common::sid_pool();
    let mut rng = Rng(0x5a5a);
    let (mut compared, mut granted, mut left_out) = (0, 0, 0);
    let wanted = common::amount("RINGFENCE_SAMBA_CASES", 6000);
    while compared < wanted {
        let asks_maximum = rng.one_in(4);
        let shape = Shape { owner_rights: rng.one_in(3), object_aces: true, deny_in_front: asks_maximum };
        let descriptor = common::descriptor(&mut rng, &pool, shape);
        // Samba has no integrity levels.
        let token = common::token_parts(&mut rng, &pool).mandatory_policy(MandatoryPolicy::empty()).build();
        let desired = match asks_maximum {
            true => AccessMask::MAXIMUM_ALLOWED,
            false if rng.one_in(20) => common::mask(&mut rng) | AccessMask::ACCESS_SYSTEM_SECURITY,
            false => common::mask(&mut rng),
        };
        if desired.is_empty() || !comparable(&descriptor, &token, desired) {
            left_out += 1;
            continue;
        }
        let theirs = samba.access_check(&descriptor, &token, desired);
        let check = AccessCheck::new(&token, &descriptor, ObjectType::File);
        let ours = check.decide(desired).granted;
        assert_eq!(
            ours,
            theirs,
            "case {compared}: {}\n{token}wanted {desired}\n{}",
            descriptor.to_sddl().unwrap(),
            check.explain(desired)
        );
        compared += 1;
        granted += usize::from(!ours.is_empty());
    }
    println!("compared {compared} triples with Samba: {granted} granted, {left_out} left out");
    assert!(granted > compared / 10 && granted < compared * 9 / 10, "the cases are lopsided");
    assert!(left_out < compared / 4, "too many cases were left out");
}

#[test]
fn samba_reads_the_same_bytes_from_sddl() {
    let mut samba = match Samba::start() {
        Ok(samba) => samba,
        Err(reason) => {
            eprintln!("skipped: {reason}");
            return;
        }
    };
    let pool = common::sid_pool();
    let mut rng = Rng(0xa5a5);
    for case in 0..common::amount("RINGFENCE_SAMBA_CASES", 6000) / 4 {
        let shape = Shape { owner_rights: true, object_aces: true, deny_in_front: false };
        let mut descriptor = common::descriptor(&mut rng, &pool, shape);
        if descriptor.dacl == AclState::Null {
            descriptor.dacl = AclState::Present(ringfence_ntsec::Acl::new());
        }
        let mut sddl = descriptor.to_sddl().unwrap();
        // Samba gives the file aliases other values than Windows does (FA is 0x1ff): write numbers.
        for (alias, number) in [("FA", "0x1f01ff"), ("FR", "0x120089"), ("FW", "0x120116"), ("FX", "0x1200a0")] {
            sddl = sddl.replace(&format!(";{alias};"), &format!(";{number};"));
        }
        let parsed: SecurityDescriptor = sddl.parse().unwrap();
        let revision = parsed.dacl.acl().unwrap().revision();
        let answer = samba.ask(&format!("sddl {sddl} {revision}"));
        assert_eq!(answer, hex(&parsed.to_bytes().unwrap()), "case {case}: {sddl}");
    }
}

#[test]
fn the_privileges_of_the_server_are_those_of_the_library() {
    // The script above names them by LUID.
    assert_eq!((Privilege::Security.luid(), Privilege::TakeOwnership.luid()), (8, 9));
}
