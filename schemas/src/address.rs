//! Addresses as rules match them: any, a host, a CIDR block (RFC 4632, RFC 4291) or an inclusive range.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::text::as_text;

/// What a rule's source or destination matches. In JSON a string: `any`, `10.0.0.7`, `10.0.0.0/8`,
/// `10.0.0.1-10.0.0.9`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// Every address of both families.
    Any,
    Span(Span),
}

/// An inclusive range of addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    first: IpAddr,
    last: IpAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected any, an address, a CIDR block or a range like 10.0.0.1-10.0.0.9, got {0:?}")]
pub struct BadAddress(String);

impl Span {
    /// A span from `first` to `last`, if they are of one family and in order.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    /// The block that holds `base` with a mask of `prefix_bits`, if the family has that many.
    pub fn block(base: IpAddr, prefix_bits: u8) -> Option<Self> {
        let bits = if base.is_ipv4() { 32 } else { 128 };
        let free = u32::from(bits - prefix_bits.min(bits));
        if prefix_bits > bits {
            return None;
        }
        let ones = 1u128.checked_shl(free).map_or(u128::MAX, |high| high - 1);
        let first = number(base) & !ones;
        Some(Self { first: address(first, base.is_ipv4()), last: address(first | ones, base.is_ipv4()) })
    }

    pub fn first(&self) -> IpAddr {
        self.first
    }

    pub fn last(&self) -> IpAddr {
        self.last
    }

    pub fn is_ipv4(&self) -> bool {
        self.first.is_ipv4()
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        self.is_ipv4() == ip.is_ipv4() && self.first <= ip && ip <= self.last
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.is_ipv4() == other.is_ipv4() && self.first <= other.last && other.first <= self.last
    }

    /// The mask length, if this span is exactly one CIDR block.
    pub fn prefix_bits(&self) -> Option<u8> {
        let bits: u32 = if self.is_ipv4() { 32 } else { 128 };
        let (first, last) = (number(self.first), number(self.last));
        let free = 128 - (first ^ last).leading_zeros();
        let ones = 1u128.checked_shl(free).map_or(u128::MAX, |high| high - 1);
        (first & ones == 0 && last & ones == ones).then(|| u8::try_from(bits - free).unwrap_or(0))
    }
}

impl Address {
    pub fn contains(&self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Span(span) => span.contains(ip),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.first);
        }
        match self.prefix_bits() {
            Some(bits) => write!(f, "{}/{bits}", self.first),
            None => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Span(span) => span.fmt(f),
        }
    }
}

impl FromStr for Span {
    type Err = BadAddress;

    fn from_str(given: &str) -> Result<Self, BadAddress> {
        parse_span(given).ok_or_else(|| BadAddress(given.chars().take(80).collect()))
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(given: &str) -> Result<Self, BadAddress> {
        match given {
            "any" => Ok(Self::Any),
            other => other.parse().map(Self::Span),
        }
    }
}

as_text!(Address, "Address", "^(any|[0-9a-fA-F.:]+(/[0-9]{1,3}|-[0-9a-fA-F.:]+)?)$");
as_text!(Span, "Span", "^[0-9a-fA-F.:]+(/[0-9]{1,3}|-[0-9a-fA-F.:]+)?$");

fn parse_span(given: &str) -> Option<Span> {
    if let Some((base, bits)) = given.split_once('/') {
        let digits = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        return Span::block(base.parse().ok()?, digits.then(|| bits.parse().ok())??);
    }
    if let Some((first, last)) = given.split_once('-') {
        return Span::new(first.trim().parse().ok()?, last.trim().parse().ok()?);
    }
    let host = given.parse().ok()?;
    Span::new(host, host)
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn address(number: u128, is_ipv4: bool) -> IpAddr {
    if is_ipv4 {
        IpAddr::V4(Ipv4Addr::from(u32::try_from(number & u128::from(u32::MAX)).unwrap_or(u32::MAX)))
    } else {
        IpAddr::V6(Ipv6Addr::from(number))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(given: &str, canonical: &str) {
        let address: Address = given.parse().expect(given);
        assert_eq!(address.to_string(), canonical);
    }

    #[test]
    fn addresses_have_one_canonical_text() {
        check("any", "any");
        check("10.0.0.7", "10.0.0.7");
        check("10.0.0.7/32", "10.0.0.7");
        check("10.1.2.3/8", "10.0.0.0/8");
        check("0.0.0.0/0", "0.0.0.0/0");
        check("::/0", "::/0");
        check("2001:DB8::1/32", "2001:db8::/32");
        check("10.0.0.0-10.0.0.255", "10.0.0.0/24");
        check("10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9");
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "all",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::/129",
            "10.0.0.9-10.0.0.1",
            "10.0.0.1-::1",
            "010.0.0.1",
            "10.0.0",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_span_reads_back_what_it_writes(a: u128, b: u128, v4: bool) {
            let (a, b) = if v4 { (a & 0xffff_ffff, b & 0xffff_ffff) } else { (a, b) };
            let span = Span::new(address(a.min(b), v4), address(a.max(b), v4)).expect("ordered");
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        }

        #[test]
        fn a_block_holds_its_base(base: u128, bits in 0u8..=128, v4: bool) {
            let ip = address(base, v4);
            let bits = if v4 { bits.min(32) } else { bits };
            let block = Span::block(ip, bits).expect("fits");
            prop_assert!(block.contains(ip));
            prop_assert_eq!(block.prefix_bits(), Some(bits));
        }
    }
}
