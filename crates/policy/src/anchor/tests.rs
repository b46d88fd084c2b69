use proptest::prelude::*;

use super::*;
use crate::path::PathKey;

fn linux() -> Anchors {
    Anchors { workspace: "/home/me/project".into(), home: Some("/home/me".into()), system: System::Linux }
}

fn windows() -> Anchors {
    Anchors { workspace: "C:\\Users\\Me\\project".into(), home: Some("C:\\Users\\Me".into()), system: System::Windows }
}

#[test]
fn written_paths_become_absolute_or_are_refused() {
    use PathRole::{Granted, Named};
    let cases = [
        (linux(), ".", Granted, Ok("/home/me/project")),
        (linux(), "./src//gen/", Granted, Ok("/home/me/project/src/gen")),
        (linux(), "~", Named, Ok("/home/me")),
        (linux(), "~/.cache/x", Granted, Ok("/home/me/.cache/x")),
        (linux(), "/opt/x/", Granted, Ok("/opt/x")),
        (linux(), "/", Granted, Ok("/")),
        (linux(), "..", Named, Ok("/home/me")),
        (linux(), "../../../../x", Named, Ok("/x")),
        (linux(), "app/[id]", Granted, Ok("/home/me/project/app/[id]")),
        (linux(), "../..", Granted, Err("path-escape")),
        (linux(), "./../x", Granted, Err("path-escape")),
        (linux(), "~/../x", Granted, Err("path-escape")),
        (linux(), "~/../x", Named, Err("path-escape")),
        (linux(), "a/../..", Granted, Err("path-parent-inside")),
        (linux(), "a/../b", Named, Err("path-parent-inside")),
        (linux(), "/a/../b", Named, Err("path-parent-inside")),
        (linux(), "", Named, Err("path-empty")),
        (linux(), "a\nb", Named, Err("path-control-character")),
        (linux(), "a\0", Named, Err("path-control-character")),
        (linux(), "*.env", Named, Err("path-pattern")),
        (linux(), "$HOME/x", Granted, Err("path-variable")),
        (linux(), "~root", Named, Err("path-other-home")),
        (linux(), "C:\\x", Granted, Err("path-foreign")),
        (linux(), "c:/x", Granted, Err("path-foreign")),
        (linux(), "\\\\server\\share", Granted, Err("path-foreign")),
        (linux(), "src\\gen", Granted, Err("path-backslash")),
        (windows(), ".", Granted, Ok("C:\\Users\\Me\\project")),
        (windows(), "src/gen\\x", Granted, Ok("C:\\Users\\Me\\project\\src\\gen\\x")),
        (windows(), "~/AppData/Local/x", Granted, Ok("C:\\Users\\Me\\AppData\\Local\\x")),
        (windows(), "~\\x", Granted, Ok("C:\\Users\\Me\\x")),
        (windows(), "d:/work", Granted, Ok("D:\\work")),
        (windows(), "\\\\?\\D:\\work", Granted, Ok("D:\\work")),
        (windows(), "\\\\server\\share\\x", Granted, Ok("\\\\server\\share\\x")),
        (windows(), "\\\\?\\UNC\\server\\share\\x", Granted, Ok("\\\\server\\share\\x")),
        (windows(), "/", Granted, Ok("\\")),
        (windows(), "..\\x", Granted, Err("path-escape")),
        (windows(), "%TEMP%\\x", Granted, Err("path-variable")),
        (windows(), "/opt/x", Granted, Err("path-foreign")),
        (windows(), "C:", Granted, Err("path-drive-relative")),
        (windows(), "C:x", Granted, Err("path-drive-relative")),
        (windows(), "\\\\.\\pipe\\x", Named, Err("path-device")),
        (windows(), "\\\\?\\Volume{1}\\x", Named, Err("path-device")),
        (windows(), "a:b", Named, Err("path-drive-relative")),
        (windows(), "ab:c", Named, Err("path-character")),
        (windows(), "x.", Named, Err("path-trailing-dot-or-space")),
        (windows(), "x \\y", Named, Err("path-trailing-dot-or-space")),
        (windows(), "nul.txt", Named, Err("path-reserved")),
        (windows(), "com1", Named, Err("path-reserved")),
    ];
    for (anchors, text, role, expected) in cases {
        let got = anchors.resolve(text, role);
        let got = got.as_ref().map(|path| path.to_str().unwrap()).map_err(PathError::code);
        assert_eq!(got, expected, "{text:?} {role:?}");
    }
}

#[test]
fn anchors_are_normal_or_refused() {
    let with = |workspace: &str| Anchors { workspace: workspace.into(), ..linux() }.normal();
    assert_eq!(with("/a/./b/../c/").unwrap().workspace, Path::new("/a/c"));
    assert!(with("a").is_err());
    assert!(with("/a\nb").is_err());
    let verbatim = Anchors { workspace: "\\\\?\\c:\\x".into(), ..windows() };
    assert_eq!(verbatim.normal().unwrap().workspace, Path::new("C:\\x"));
    let no_home = Anchors { home: None, ..linux() };
    assert_eq!(no_home.resolve("~/x", PathRole::Named), Err(PathError::NoHome));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written, what it grants lies in the workspace, unless it is written as an absolute path or from `~`.
    #[test]
    fn no_relative_grant_leaves_the_workspace(text in "(\\.|\\.\\.|/|\\\\|a|b|:| |~|C){0,12}", linux_rules: bool) {
        let anchors = if linux_rules { linux() } else { windows() };
        let Ok(path) = anchors.resolve(&text, PathRole::Granted) else { return Ok(()) };
        let key = |path: &Path| PathKey::new(path, anchors.system).unwrap();
        let elsewhere = text.starts_with(['/', '\\', '~']) || text.get(1..3).is_some_and(|start| start == ":\\" || start == ":/");
        prop_assert!(elsewhere || key(&path).is_in(&key(&anchors.workspace)), "{:?} -> {:?}", text, path);
        // What came out is normal: it means itself.
        prop_assert_eq!(anchors.resolve(path.to_str().unwrap(), PathRole::Granted), Ok(path));
    }
}
