//! The name that a packet asks for: a DNS question (RFC 1035), a TLS server name (RFC 6066), an HTTP host (RFC 9112).
//!
//! Best effort within one packet; a name is at most 253 letters, digits, `-`, `_` and `.`, in lower case.

use super::{Packet, TCP, UDP, be16};

const DNS_PORT: u16 = 53;
const NAME_CHARS_MAX: usize = 253;
const LABELS_MAX: usize = 127;
/// How far into an HTTP request its host is looked for.
const HTTP_BYTES_MAX: usize = 2_048;
const METHODS: [&[u8]; 9] =
    [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE "];

/// The name that the packet asks for.
pub fn of(packet: &Packet<'_>) -> Option<String> {
    if packet.payload.is_empty() {
        return None;
    }
    match packet.protocol {
        UDP if packet.destination_port == DNS_PORT => question(packet.payload),
        TCP if packet.destination_port == DNS_PORT => question(packet.payload.get(2..)?),
        TCP => server_name(packet.payload).or_else(|| http_host(packet.payload)),
        _ => None,
    }
}

/// The first question of a DNS query.
fn question(message: &[u8]) -> Option<String> {
    let is_query = be16(message, 2)? & 0x8000 == 0;
    if !is_query || be16(message, 4)? == 0 {
        return None;
    }
    let mut name = Vec::new();
    let mut at = 12;
    for _ in 0..LABELS_MAX {
        let size = usize::from(*message.get(at)?);
        if size == 0 {
            return checked(&name);
        }
        // A pointer has no sense in the first question.
        if size > 63 {
            return None;
        }
        if !name.is_empty() {
            name.push(b'.');
        }
        name.extend(message.get(at + 1..at + 1 + size)?);
        at += size + 1;
    }
    None
}

/// The server name of a TLS ClientHello that begins this payload.
fn server_name(payload: &[u8]) -> Option<String> {
    let is_hello = payload.first() == Some(&22) && payload.get(1) == Some(&3) && payload.get(5) == Some(&1);
    if !is_hello {
        return None;
    }
    // Record header 5, handshake header 4, version 2, random 32.
    let session = 43;
    let ciphers = session + 1 + usize::from(*payload.get(session)?);
    let compressions = ciphers + 2 + usize::from(be16(payload, ciphers)?);
    let extensions = compressions + 1 + usize::from(*payload.get(compressions)?);
    let mut at = extensions + 2;
    let end = at + usize::from(be16(payload, extensions)?);
    while at + 4 <= end {
        let (kind, size) = (be16(payload, at)?, usize::from(be16(payload, at + 2)?));
        if kind == 0 {
            // List length 2, name type 1 (0 is a host), name length 2.
            let is_host = payload.get(at + 6) == Some(&0);
            let length = usize::from(be16(payload, at + 7)?);
            return checked(payload.get(at + 9..at + 9 + length)?).filter(|_| is_host);
        }
        at += 4 + size;
    }
    None
}

/// The host of an HTTP/1 request that begins this payload.
fn http_host(payload: &[u8]) -> Option<String> {
    if !METHODS.iter().any(|method| payload.starts_with(method)) {
        return None;
    }
    let head = payload.get(..payload.len().min(HTTP_BYTES_MAX))?;
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        let Some((field, value)) = line.split_at_checked(5) else { continue };
        if field.eq_ignore_ascii_case(b"host:") {
            return checked(without_port(value.trim_ascii()));
        }
    }
    None
}

fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| *byte == b':') {
        Some(at) if host.iter().skip(at + 1).all(u8::is_ascii_digit) => host.get(..at).unwrap_or(host),
        _ => host,
    }
}

fn checked(name: &[u8]) -> Option<String> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = (1..=NAME_CHARS_MAX).contains(&name.len()) && name.iter().all(letter);
    fits.then(|| String::from_utf8_lossy(name).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello(name: &str) -> Vec<u8> {
        let size = |count: usize| u16::try_from(count).expect("short").to_be_bytes();
        let mut extensions = vec![0x00, 0x17, 0, 0];
        extensions.extend([0, 0]);
        extensions.extend(size(name.len() + 5));
        extensions.extend(size(name.len() + 3));
        extensions.push(0);
        extensions.extend(size(name.len()));
        extensions.extend(name.bytes());
        let mut payload = vec![22, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3];
        payload.extend([7; 32]);
        payload.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        payload.extend(size(extensions.len()));
        payload.extend(extensions);
        payload
    }

    #[test]
    fn a_dns_question_is_read() {
        let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(b"\x03wWw\x07example\x03com\x00\x00\x01\x00\x01");
        assert_eq!(question(&query).as_deref(), Some("www.example.com"));
        query[2] = 0x81;
        assert_eq!(question(&query), None, "an answer asks for nothing");
    }

    #[test]
    fn a_server_name_is_read() {
        assert_eq!(server_name(&hello("mail.Example.org")).as_deref(), Some("mail.example.org"));
        assert_eq!(server_name(&hello("bad name")), None);
    }

    #[test]
    fn an_http_host_is_read() {
        let host = |request: &str| http_host(request.as_bytes());
        assert_eq!(host("GET / HTTP/1.1\r\nhost: Example.com:8080\r\n\r\n").as_deref(), Some("example.com"));
        assert_eq!(host("GET / HTTP/1.1\r\nAccept: x\r\nHost:a.b\r\n").as_deref(), Some("a.b"));
        assert_eq!(host("GET / HTTP/1.0\r\n\r\nHost: body.com\r\n"), None);
        assert_eq!(host("SSH-2.0\r\nHost: x\r\n"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..120) {
            let _ = (question(&bytes), server_name(&bytes), http_host(&bytes));
            let hello = hello("example.com");
            let _ = server_name(&hello[..cut.min(hello.len())]);
        }
    }
}
