//! Which synthetic address stands for which name.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use ringfence_policy::DomainName;

/// The names of one run and the addresses from 198.18.0.0/15 (RFC 2544: never on a real network) that stand for them.
#[derive(Debug)]
pub(crate) struct AddressMap {
    limit: usize,
    names: Mutex<Names>,
}

#[derive(Debug, Default)]
struct Names {
    by_name: HashMap<DomainName, Ipv4Addr>,
    by_index: Vec<DomainName>,
}

impl AddressMap {
    /// An empty map that gives out at most `limit` addresses.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.min(USABLE), names: Mutex::default() }
    }

    /// Whether the address lies in the synthetic range, handed out or not.
    pub(crate) fn contains(address: Ipv4Addr) -> bool {
        u32::from(address) & 0xfffe_0000 == FIRST
    }

    /// The address of the name, the same one for the whole run; `None` when all are given out.
    pub(crate) fn address(&self, name: &DomainName) -> Option<Ipv4Addr> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = names.by_name.get(name) {
            return Some(*address);
        }
        if names.by_index.len() >= self.limit {
            return None;
        }
        // The first address of the range is skipped: a network's own address is not a host's.
        let offset = u32::try_from(names.by_index.len() + 1).ok()?;
        let address = Ipv4Addr::from(FIRST + offset);
        names.by_index.push(name.clone());
        names.by_name.insert(name.clone(), address);
        Some(address)
    }

    /// The name behind an address that was given out.
    pub(crate) fn name(&self, address: Ipv4Addr) -> Option<DomainName> {
        let index = u32::from(address).checked_sub(FIRST)?.checked_sub(1)?;
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.by_index.get(usize::try_from(index).ok()?).cloned()
    }
}

/// 198.18.0.0
const FIRST: u32 = 0xc612_0000;
/// The range without its first and last address.
const USABLE: usize = (1 << 17) - 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_and_an_address_its_name() {
        let map = AddressMap::new(2);
        let (a, b): (DomainName, DomainName) = ("a.example".parse().unwrap(), "b.example".parse().unwrap());
        assert_eq!(map.address(&a), Some(Ipv4Addr::new(198, 18, 0, 1)));
        assert_eq!(map.address(&b), Some(Ipv4Addr::new(198, 18, 0, 2)));
        assert_eq!(map.address(&a), Some(Ipv4Addr::new(198, 18, 0, 1)));
        assert_eq!(map.address(&"c.example".parse().unwrap()), None);
        assert_eq!(map.name(Ipv4Addr::new(198, 18, 0, 2)), Some(b));
        for stranger in ["198.18.0.0", "198.18.0.3", "198.19.255.255", "198.17.255.255", "127.0.0.1"] {
            assert_eq!(map.name(stranger.parse().unwrap()), None);
        }
        assert!(AddressMap::contains(Ipv4Addr::new(198, 19, 255, 255)));
        assert!(!AddressMap::contains(Ipv4Addr::new(198, 20, 0, 0)));
    }
}
