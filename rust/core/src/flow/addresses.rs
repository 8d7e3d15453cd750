//! Addresses as numbers: rows carry four bytes instead of sixteen.

use hashbrown::HashMap;

type Numbers<A> = HashMap<A, u32, foldhash::fast::RandomState>;

/// Distinct addresses, numbered by first use.
#[derive(Default)]
pub struct Addresses {
    /// IPv4 ones, which are mapped into IPv6 everywhere else: a table of a third the size.
    v4: Numbers<u32>,
    v6: Numbers<[u8; 16]>,
    pub list: Vec<[u8; 16]>,
    /// Numbers that are given out again before new ones are.
    free: Vec<u32>,
}

impl Addresses {
    pub fn number(&mut self, address: [u8; 16]) -> u32 {
        let Addresses { v4, v6, list, free } = self;
        let new = || {
            if let Some(number) = free.pop() {
                list[number as usize] = address;
                return number;
            }
            list.push(address);
            (list.len() - 1) as u32
        };
        match mapped(address) {
            Some(short) => *v4.entry(short).or_insert_with(new),
            None => *v6.entry(address).or_insert_with(new),
        }
    }

    /// Takes back every number but these; returns how long the list is.
    pub fn keep(&mut self, used: &[u32]) -> usize {
        let mut held = vec![false; self.list.len()];
        for &number in used {
            if let Some(one) = held.get_mut(number as usize) {
                *one = true;
            }
        }
        let length = held.iter().rposition(|&one| one).map_or(0, |last| last + 1);
        self.list.truncate(length);
        held.truncate(length);
        let stays = |number: u32| held.get(number as usize).copied().unwrap_or(false);
        self.v4.retain(|_, number| stays(*number));
        self.v6.retain(|_, number| stays(*number));
        self.free = (0u32..).zip(&held).filter(|(_, one)| !**one).map(|(number, _)| number).collect();
        for &number in &self.free {
            self.list[number as usize] = nobody(number);
        }
        length
    }
}

/// The IPv4 address in an IPv4-mapped one (RFC 4291, section 2.5.5.2).
#[inline]
fn mapped(address: [u8; 16]) -> Option<u32> {
    let address = u128::from_be_bytes(address);
    (address >> 32 == 0xffff).then_some(address as u32)
}

/// An address that stands for none, another one for each number: of the prefix that only discards (RFC 6666).
fn nobody(number: u32) -> [u8; 16] {
    let mut address = [0; 16];
    address[0] = 1;
    address[12..].copy_from_slice(&number.to_be_bytes());
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_number_whatever_its_kind() {
        let mut addresses = Addresses::default();
        let v4 = |last| std::net::Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped().octets();
        let v6 = |last| u128::to_be_bytes(last);
        let numbers = [v4(1), v6(1), v4(2), v6(1), v4(1)].map(|one| addresses.number(one));
        assert_eq!(numbers, [0, 1, 2, 1, 0]);
        assert_eq!(addresses.keep(&[1]), 2);
        assert_eq!([v4(2), v6(1), v6(7)].map(|one| addresses.number(one)), [0, 1, 2], "freed numbers first");
    }
}
