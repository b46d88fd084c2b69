//! The environment as `CreateProcessW` takes it.

use crate::Error;
use crate::windows::wide::Wide;

/// The block: `name=value` strings, each ended by a NUL, sorted by name without regard to case, and one more NUL at the end
/// (<https://learn.microsoft.com/windows/win32/procthread/changing-environment-variables>).
///
/// # Errors
///
/// [`Error::NulByte`]; [`Error::Variable`] for a name that is empty, that holds a `=` after its first character (names such
/// as `=C:` are the current directories of drives), or that occurs twice in different case, of which programs would see one
/// or the other.
pub fn encode(variables: &[(Wide, Wide)]) -> Result<Vec<u16>, Error> {
    let mut sorted = Vec::with_capacity(variables.len());
    for (name, value) in variables {
        check(name, value)?;
        sorted.push((folded(name), name, value));
    }
    sorted.sort();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(refused(pair[1].1, "it occurs twice, and Windows ignores case"));
    }
    let mut block = Vec::new();
    for (_, name, value) in &sorted {
        block.extend(name.units());
        block.push(EQUALS);
        block.extend(value.units());
        block.push(0);
    }
    // A block without variables still ends with two NULs: one alone is read beyond its end.
    if block.is_empty() {
        block.push(0);
    }
    block.push(0);
    Ok(block)
}

const EQUALS: u16 = b'=' as u16;

/// The name as Windows compares it: upper case, one unit to one unit.
pub(crate) fn folded(name: &Wide) -> Vec<u16> {
    let upper = |unit: u16| {
        let mut upper = char::from_u32(u32::from(unit))?.to_uppercase();
        upper.next().filter(|_| upper.next().is_none()).and_then(|single| u16::try_from(u32::from(single)).ok())
    };
    name.units().iter().map(|unit| upper(*unit).unwrap_or(*unit)).collect()
}

fn check(name: &Wide, value: &Wide) -> Result<(), Error> {
    if name.units().contains(&0) || value.units().contains(&0) {
        return Err(Error::NulByte { what: format!("the variable `{name}`").replace('\0', "\\0") });
    }
    match name.units() {
        [] => Err(refused(name, "its name is empty")),
        [_, rest @ ..] if rest.contains(&EQUALS) => Err(refused(name, "its name holds a `=`")),
        _ => Ok(()),
    }
}

fn refused(name: &Wide, why: &'static str) -> Error {
    Error::Variable { name: name.to_string(), why }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How a program reads its block.
    fn read(block: &[u16]) -> Vec<(Wide, Wide)> {
        let mut variables = Vec::new();
        let mut rest = block;
        while rest[0] != 0 {
            let end = rest.iter().position(|unit| *unit == 0).unwrap();
            let entry = &rest[..end];
            let equals = 1 + entry[1..].iter().position(|unit| *unit == EQUALS).unwrap();
            variables.push((Wide(entry[..equals].to_vec()), Wide(entry[equals + 1..].to_vec())));
            rest = &rest[end + 1..];
        }
        variables
    }

    fn pair(name: &str, value: &str) -> (Wide, Wide) {
        (Wide::from(name), Wide::from(value))
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(
            variables in proptest::collection::vec((proptest::collection::vec(any::<u16>(), 0..6), proptest::collection::vec(any::<u16>(), 0..6)), 0..6)
        ) {
            let variables: Vec<_> = variables.into_iter().map(|(name, value)| (Wide(name), Wide(value))).collect();
            if let Ok(block) = encode(&variables) {
                prop_assert!(block.ends_with(&[0, 0]));
                let mut read = read(&block);
                prop_assert!(read.is_sorted_by_key(|(name, _)| folded(name)));
                let mut expected = variables;
                read.sort();
                expected.sort();
                prop_assert_eq!(read, expected);
            }
        }
    }

    #[test]
    fn names_are_sorted_as_windows_searches_them() {
        let block =
            encode(&[pair("b", "2"), pair("A", "1"), pair("=C:", r"C:\x"), pair("C_", ""), pair("c1", "")]).unwrap();
        let names: Vec<String> = read(&block).iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, ["=C:", "A", "b", "c1", "C_"]);
    }

    // A block of one NUL for an empty environment made the system read on behind it.
    #[test]
    fn an_empty_block_ends() {
        assert_eq!(encode(&[]).unwrap(), [0, 0]);
    }

    #[test]
    fn what_no_block_can_hold_is_refused() {
        for (variables, code) in [
            (vec![pair("", "x")], "environment-variable"),
            (vec![pair("a=b", "x")], "environment-variable"),
            (vec![pair("=a=b", "x")], "environment-variable"),
            (vec![pair("Path", "x"), pair("PATH", "y")], "environment-variable"),
            (vec![pair("a\0", "x")], "nul-byte"),
            (vec![pair("a", "x\0y")], "nul-byte"),
        ] {
            assert_eq!(encode(&variables).unwrap_err().code(), code);
        }
    }
}
