//! From arguments to the one string that Windows gives a program, and safely so.

use crate::Error;
use crate::windows::path::WindowsPath;
use crate::windows::wide::Wide;

/// The longest command line that `CreateProcessW` takes, in UTF-16 units with the final NUL
/// (<https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-createprocessw>).
pub const MAX_UNITS: usize = 32_767;

/// The longest that `cmd.exe` takes
/// (<https://learn.microsoft.com/troubleshoot/windows-client/shell-experience/command-line-string-limitation>).
pub const MAX_CMD_UNITS: usize = 8_191;

const QUOTE: u16 = b'"' as u16;
const BACKSLASH: u16 = b'\\' as u16;
const SPACE: u16 = b' ' as u16;

/// The command line from which the C runtime and `CommandLineToArgvW` read back exactly these arguments, the program's own
/// name first
/// (<https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments>).
///
/// # Errors
///
/// [`Error::CommandEmpty`]; [`Error::NulByte`]; [`Error::CommandLine`] where it would be too long, or where the program's
/// name holds a quotation mark, which that place has no way to write.
pub fn quote(argv: &[Wide]) -> Result<Wide, Error> {
    let (name, arguments) = argv.split_first().ok_or(Error::CommandEmpty)?;
    check_nul(argv)?;
    if name.units().contains(&QUOTE) {
        return Err(refused("the program's name holds a quotation mark"));
    }
    // The name is read by rules of its own: a backslash escapes nothing in it.
    let mut line = vec![QUOTE];
    line.extend(name.units());
    line.push(QUOTE);
    for argument in arguments {
        line.push(SPACE);
        push_quoted(&mut line, argument.units());
    }
    within(line, MAX_UNITS)
}

/// The command line that makes `cmd.exe` run a batch file with these arguments (without the file's own name) and nothing
/// else: no AutoRun, no delayed expansion.
///
/// `cmd.exe` reads a line before the batch file does, and reads it again for every command that the file passes it on to. So
/// only what survives any number of readings is passed: everything is quoted, and what a quoted argument cannot hold is
/// refused. `%` expands within quotation marks; a quotation mark ends them and opens the way for `&`.
///
/// # Errors
///
/// [`Error::BatchArgument`] for an argument, or a file name, with `%`, `"` or a line break; [`Error::NulByte`];
/// [`Error::CommandLine`] where it would be too long.
pub fn quote_batch(cmd: &WindowsPath, script: &WindowsPath, arguments: &[Wide]) -> Result<Wide, Error> {
    check_nul(arguments)?;
    check_batch(0, &Wide::from(script.as_str()))?;
    let mut line: Vec<u16> = format!("\"{cmd}\" /d /e:on /v:off /s /c \"\"{script}\"").encode_utf16().collect();
    for (index, argument) in arguments.iter().enumerate() {
        check_batch(index + 1, argument)?;
        line.extend([SPACE, QUOTE]);
        line.extend(argument.units());
        // The file will hand it to a program, to which a single one would escape the quotation mark.
        let trailing = argument.units().iter().rev().take_while(|unit| **unit == BACKSLASH).count();
        line.extend(std::iter::repeat_n(BACKSLASH, trailing));
        line.push(QUOTE);
    }
    line.push(QUOTE);
    within(line, MAX_CMD_UNITS)
}

fn push_quoted(line: &mut Vec<u16>, argument: &[u16]) {
    let plain = |unit: &u16| *unit > SPACE && *unit != QUOTE;
    if !argument.is_empty() && argument.iter().all(plain) {
        line.extend(argument);
        return;
    }
    line.push(QUOTE);
    let mut backslashes = 0;
    for &unit in argument {
        match unit {
            BACKSLASH => backslashes += 1,
            // Those before a quotation mark are halved when it is read back, and one more keeps the mark from closing.
            QUOTE => line.extend(std::iter::repeat_n(BACKSLASH, std::mem::take(&mut backslashes) + 1)),
            _ => backslashes = 0,
        }
        line.push(unit);
    }
    line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
    line.push(QUOTE);
}

fn check_nul(argv: &[Wide]) -> Result<(), Error> {
    match argv.iter().position(|argument| argument.units().contains(&0)) {
        None => Ok(()),
        Some(index) => Err(Error::NulByte { what: format!("argument {index}") }),
    }
}

fn check_batch(index: usize, argument: &Wide) -> Result<(), Error> {
    const REFUSED: &[(u16, &str)] = &[
        (b'%' as u16, "`%`, which cmd.exe expands even within quotation marks"),
        (QUOTE, "a quotation mark, after which cmd.exe would read commands"),
        (b'\n' as u16, "a line break, at which cmd.exe stops reading"),
        (b'\r' as u16, "a carriage return, which cmd.exe drops"),
    ];
    match REFUSED.iter().find(|(unit, _)| argument.units().contains(unit)) {
        None => Ok(()),
        Some((_, why)) => Err(Error::BatchArgument { index, why }),
    }
}

fn within(line: Vec<u16>, limit: usize) -> Result<Wide, Error> {
    if line.len() >= limit {
        return Err(refused(format!("it has {} UTF-16 units, and there may be {}", line.len(), limit - 1)));
    }
    Ok(Wide(line))
}

fn refused(why: impl Into<String>) -> Error {
    Error::CommandLine { why: why.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How the C runtime reads a command line: "Parsing C command-line arguments" on Microsoft Learn.
    fn read(line: &[u16]) -> Vec<Wide> {
        let is_space = |unit: u16| unit == SPACE || unit == b'\t' as u16;
        let (mut at, mut quoted) = (0, false);
        let mut name = Vec::new();
        while at < line.len() && (quoted || !is_space(line[at])) {
            match line[at] {
                QUOTE => quoted = !quoted,
                unit => name.push(unit),
            }
            at += 1;
        }
        let mut argv = vec![Wide(name)];
        loop {
            while at < line.len() && is_space(line[at]) {
                at += 1;
            }
            if at == line.len() {
                return argv;
            }
            let (mut argument, mut quoted) = (Vec::new(), false);
            while at < line.len() && (quoted || !is_space(line[at])) {
                let backslashes = line[at..].iter().take_while(|unit| **unit == BACKSLASH).count();
                at += backslashes;
                let before_quote = line.get(at) == Some(&QUOTE);
                argument
                    .extend(std::iter::repeat_n(BACKSLASH, if before_quote { backslashes / 2 } else { backslashes }));
                if !before_quote {
                    if backslashes == 0 {
                        argument.push(line[at]);
                        at += 1;
                    }
                } else if backslashes % 2 == 1 {
                    argument.push(QUOTE);
                    at += 1;
                } else if quoted && line.get(at + 1) == Some(&QUOTE) {
                    argument.push(QUOTE);
                    at += 2;
                } else {
                    quoted = !quoted;
                    at += 1;
                }
            }
            argv.push(Wide(argument));
        }
    }

    /// Which characters of a `cmd.exe` line stand outside of quotation marks.
    fn unquoted(line: &str) -> String {
        let mut quoted = false;
        line.chars()
            .filter(|c| {
                if *c == '"' {
                    quoted = !quoted;
                    false
                } else {
                    !quoted
                }
            })
            .collect()
    }

    fn hostile() -> impl Strategy<Value = Wide> {
        let piece = prop_oneof![
            Just("\\".to_owned()),
            Just("\"".to_owned()),
            Just(" ".to_owned()),
            Just("\t".to_owned()),
            Just("\\\\\"".to_owned()),
            Just("%PATH%".to_owned()),
            Just("&calc".to_owned()),
            Just("\n".to_owned()),
            Just("^".to_owned()),
            "[a-z äß😀]{0,6}",
        ];
        let text = proptest::collection::vec(piece, 0..12).prop_map(|pieces| Wide::from(pieces.concat().as_str()));
        prop_oneof![text, proptest::collection::vec(1u16.., 0..24).prop_map(Wide)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_quoted_is_read_back(arguments in proptest::collection::vec(hostile(), 0..8)) {
            let argv: Vec<Wide> = std::iter::once(Wide::from(r"C:\Program Files\x.exe")).chain(arguments).collect();
            prop_assert_eq!(read(quote(&argv).unwrap().units()), argv);
        }

        // Arguments of a batch file that hold `"` and `&` were once enough to run any command.
        #[test]
        fn a_batch_file_gets_its_arguments_or_is_not_started(arguments in proptest::collection::vec(hostile(), 0..6)) {
            let (cmd, script) = (path(r"C:\Windows\System32\cmd.exe"), path(r"C:\tools\a b\x.cmd"));
            let bad = |argument: &Wide| argument.to_string().contains(['%', '"', '\n', '\r']);
            match quote_batch(&cmd, &script, &arguments) {
                Err(error) => {
                    prop_assert_eq!(error.code(), "batch-argument");
                    prop_assert!(arguments.iter().any(bad));
                }
                Ok(line) => {
                    prop_assert!(!arguments.iter().any(bad));
                    let inner = line.to_string();
                    // `/s` takes the first and the last quotation mark away and leaves the rest as it is.
                    let inner = inner.split_once("/c \"").unwrap().1.strip_suffix('"').unwrap();
                    prop_assert!(unquoted(inner).chars().all(|c| c == ' '), "{}", inner);
                    let program: Vec<u16> = inner.encode_utf16().collect();
                    if line.units() == Wide::from(line.to_string().as_str()).units() {
                        prop_assert_eq!(&read(&program)[1..], &arguments[..]);
                    }
                }
            }
        }
    }

    fn path(text: &str) -> WindowsPath {
        WindowsPath::parse(text).unwrap()
    }

    #[test]
    fn microsofts_examples_are_read_as_documented() {
        let strings = |line: &str| -> Vec<String> {
            let units: Vec<u16> = format!("x {line}").encode_utf16().collect();
            read(&units)[1..].iter().map(ToString::to_string).collect()
        };
        assert_eq!(strings(r#""a b c" d e"#), ["a b c", "d", "e"]);
        assert_eq!(strings(r#""ab\"c" "\\" d"#), ["ab\"c", "\\", "d"]);
        assert_eq!(strings(r#"a\\\b d"e f"g h"#), [r"a\\\b", "de fg", "h"]);
        assert_eq!(strings(r#"a\\\"b c d"#), [r#"a\"b"#, "c", "d"]);
        assert_eq!(strings(r#"a\\\\"b c" d e"#), [r"a\\b c", "d", "e"]);
        assert_eq!(strings(r#"a"b"" c d"#), [r#"ab" c d"#]);
    }

    #[test]
    fn ordinary_lines_stay_readable() {
        let argv: Vec<Wide> =
            ["cargo", "test", "--", "a b", "", r"C:\x\"].iter().map(|text| Wide::from(*text)).collect();
        assert_eq!(quote(&argv).unwrap().to_string(), r#""cargo" test -- "a b" "" C:\x\"#);
        let line = quote_batch(&path(r"C:\Windows\System32\cmd.exe"), &path(r"C:\n\npm.cmd"), &argv[1..3]).unwrap();
        assert_eq!(
            line.to_string(),
            r#""C:\Windows\System32\cmd.exe" /d /e:on /v:off /s /c ""C:\n\npm.cmd" "test" "--"""#
        );
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let code = |argv: &[Wide]| quote(argv).unwrap_err().code();
        assert_eq!(code(&[]), "command-empty");
        assert_eq!(code(&[Wide::from("x"), Wide(vec![0])]), "nul-byte");
        assert_eq!(code(&[Wide::from("a\"b")]), "command-line");
        assert_eq!(code(&[Wide::from("x"), Wide(vec![97; MAX_UNITS])]), "command-line");
        assert!(quote(&[Wide::from("x"), Wide(vec![97; MAX_UNITS - 5])]).is_ok());
    }
}
