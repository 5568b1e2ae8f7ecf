//! A network of BMCs, as `10.9.0.0/24`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The largest networks that may be allowed: more would be an open relay.
const WIDEST_V4: u8 = 16;
const WIDEST_V6: u8 = 48;

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no network of BMCs. The program does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubnetError {
    /// Not an address, or not a length.
    #[error("must be a network such as \"10.9.0.0/24\", or one address")]
    Form,
    /// Bits are set beyond the length.
    #[error("has bits beyond its length: write {0}")]
    Bits(Subnet),
    /// It would let through what no BMC network is.
    #[error("is too wide: a network of BMCs has at least /{WIDEST_V4}, IPv6 /{WIDEST_V6}")]
    Wide,
}

impl Subnet {
    /// Whether the address is in it. An IPv4 address in IPv6's clothes is taken for what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && cut(address, self.prefix) == cut(self.address, self.prefix)
    }
}

/// The first `prefix` bits; the others are 0.
fn cut(address: IpAddr, prefix: u8) -> u128 {
    let (bits, size) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let beyond = u32::from(size - prefix.min(size));
    bits.checked_shr(beyond).and_then(|bits| bits.checked_shl(beyond)).unwrap_or(0)
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.trim().parse().map_err(|_| SubnetError::Form)?;
        let (size, widest) = if address.is_ipv4() { (32, WIDEST_V4) } else { (128, WIDEST_V6) };
        let prefix = prefix.map_or(Ok(size), |prefix| prefix.trim().parse::<u8>());
        let prefix = prefix.ok().filter(|prefix| *prefix <= size).ok_or(SubnetError::Form)?;
        if prefix < widest {
            return Err(SubnetError::Wide);
        }
        let first = cut(address, prefix);
        let first = match address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(first).unwrap_or(0).into()),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(first)),
        };
        let subnet = Self { address: first, prefix };
        if first == address { Ok(subnet) } else { Err(SubnetError::Bits(subnet)) }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(subnet: &str, address: &str) -> bool {
        subnet.parse::<Subnet>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_has_its_addresses_and_no_others() {
        assert!(has("10.9.0.0/24", "10.9.0.11") && has("10.9.0.0/24", "::ffff:10.9.0.11"));
        assert!(!has("10.9.0.0/24", "10.9.1.11") && !has("10.9.0.0/24", "::a09:b"));
        assert!(has("10.9.0.11", "10.9.0.11") && !has("10.9.0.11", "10.9.0.12"));
        assert!(has("fd00:9::/64", "fd00:9::5") && !has("fd00:9::/64", "fd00:9:0:1::5"));
    }

    #[test]
    fn a_network_that_is_too_wide_or_unclear_is_refused() {
        let read = |text: &str| text.parse::<Subnet>();
        for wide in ["0.0.0.0/0", "10.0.0.0/8", "::/0", "fd00::/8"] {
            assert_eq!(read(wide), Err(SubnetError::Wide), "{wide}");
        }
        for text in ["", "bmc-net", "10.9.0.0/33", "10.9.0.0/x", "10.9.0.0/24/1", "10.9.0/24"] {
            assert_eq!(read(text), Err(SubnetError::Form), "{text}");
        }
        let told = read("10.9.0.7/24").unwrap_err().to_string();
        assert_eq!(told, "has bits beyond its length: write 10.9.0.0/24");
    }
}
