//! The digest that names contents everywhere here: SHA-256 (FIPS 180-4) in lower-case hexadecimal.

use sha2::{Digest, Sha256};

const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// SHA-256 in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let halves = [byte >> 4, byte & 15];
        text.extend(halves.iter().filter_map(|half| DIGITS.get(usize::from(*half))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_digest_of_the_standard() {
        // FIPS 180-4, example B.1.
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
