//! Blocks of addresses as the flow table orders them: 16 bytes, IPv4 mapped into IPv6.

use std::net::IpAddr;

use schemas::address::Span;
use schemas::flow::address_bytes;

/// An address as the table keeps it.
pub(crate) type Bytes16 = [u8; 16];

/// The first and the last IPv4 address, mapped into IPv6.
const MAPPED_FIRST: Bytes16 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0];
const MAPPED_LAST: Bytes16 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255];

/// A range of addresses of one family.
///
/// The IPv4 addresses lie inside the IPv6 ones, so that a wide IPv6 block has a hole where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) first: Bytes16,
    pub(crate) last: Bytes16,
    pub(crate) without_ipv4: bool,
}

impl Block {
    /// Every IPv4 address.
    pub(crate) const IPV4: Self = Self { first: MAPPED_FIRST, last: MAPPED_LAST, without_ipv4: false };
    /// Every IPv6 address.
    pub(crate) const IPV6: Self = Self { first: [0; 16], last: [255; 16], without_ipv4: true };

    /// Reads an address, a CIDR block or a range.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::of)
    }

    pub(crate) fn of(span: Span) -> Self {
        let (first, last) = (address_bytes(span.first()), address_bytes(span.last()));
        let within = MAPPED_FIRST <= first && last <= MAPPED_LAST;
        let apart = last < MAPPED_FIRST || MAPPED_LAST < first;
        Self { first, last, without_ipv4: !within && !apart }
    }

    pub(crate) fn contains(&self, address: Bytes16) -> bool {
        self.first <= address && address <= self.last && !(self.without_ipv4 && is_ipv4(address))
    }
}

pub(crate) fn is_ipv4(address: Bytes16) -> bool {
    address.starts_with(&MAPPED_FIRST[..12])
}

/// The block of `prefix_bits` around an address; more bits than its family has mean the address alone.
pub(crate) fn prefix(address: IpAddr, prefix_bits: i64) -> Option<Span> {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix_bits = u8::try_from(prefix_bits).ok()?.min(bits);
    Span::block(address, prefix_bits)
}

/// A block as `ip_prefix` writes it: with its mask length, also for one address.
pub(crate) fn prefix_text(span: Span) -> String {
    let bits = span.prefix_bits().unwrap_or(if span.is_ipv4() { 32 } else { 128 });
    format!("{}/{bits}", span.first())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::flow::address_of;

    use super::*;

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(address_of)]
    }

    proptest! {
        #[test]
        fn a_block_holds_what_its_span_holds(base in address(), bits in 0u8..=128, other in address()) {
            if let Some(span) = Span::block(base, bits) {
                let block = Block::of(span);
                prop_assert!(block.contains(address_bytes(base)));
                prop_assert_eq!(block.contains(address_bytes(other)), span.contains(other));
            }
        }

        #[test]
        fn a_prefix_holds_its_address(base in address(), bits in 0i64..=200) {
            let span = prefix(base, bits).expect("a block");
            prop_assert!(span.contains(base));
            prop_assert_eq!(Block::parse(&prefix_text(span)), Some(Block::of(span)));
        }
    }

    #[test]
    fn all_of_ipv6_has_no_ipv4_in_it() {
        let all = Block::parse("::/0").expect("a block");
        assert_eq!(all, Block::IPV6);
        assert!(!all.contains(address_bytes(IpAddr::from([10, 0, 0, 1]))));
        assert_eq!(Block::parse("::ffff:10.0.0.0/104"), Block::parse("10.0.0.0/8"));
        assert_eq!(Block::parse("10.0.0.0/33"), None);
    }
}
