//! The first words of a TLS client as a fingerprint: JA4 (the FoxIO technical details of JA4 alone; BSD 3-Clause, no patent claim).
//!
//! Made from the bytes, because the order of extensions and what a library does not know are part of it. Whatever the bytes are, it
//! must never panic and never look past them; what is no hello has no fingerprint. JA4H, JA4S, JA4X and JA4T are under another
//! licence and are not made.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use smallvec::SmallVec;

/// Bytes of a first flight that are looked at. A hello with post-quantum keys has two thousand.
pub(super) const LONGEST: usize = 16 * 1024;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0x0000;
const SIGNATURE_ALGORITHMS: u16 = 0x000d;
const ALPN: u16 = 0x0010;
const SUPPORTED_VERSIONS: u16 = 0x002b;

/// A client's TLS fingerprint, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ja4([u8; Self::LENGTH]);

impl Ja4 {
    const LENGTH: usize = 36;

    /// As a trusted proxy wrote it. Only the form is looked at.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let all: [u8; Self::LENGTH] = text.try_into().ok()?;
        let hex = |bytes: &[u8]| bytes.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
        let digits = all[4..8].iter().all(u8::is_ascii_digit);
        let words = all[1..3].iter().chain(&all[8..10]).all(u8::is_ascii_alphanumeric);
        let fits = matches!(all[0], b't' | b'q' | b'd') && matches!(all[3], b'd' | b'i') && digits && words;
        let parts = all[10] == b'_' && all[23] == b'_' && hex(&all[11..23]) && hex(&all[24..]);
        (fits && parts).then_some(Self(all))
    }

    /// The fingerprint as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Reads the records of a first flight; none when they hold no whole hello.
    pub(super) fn of_records(bytes: &[u8]) -> Option<Self> {
        let mut rest = Bytes(bytes);
        let mut message = SmallVec::<[u8; 2048]>::new();
        loop {
            if let Some((head, body)) = message.split_first_chunk::<4>() {
                let [kind, a, b, c] = *head;
                if kind != CLIENT_HELLO {
                    return None;
                }
                if let Some(hello) = body.get(..u32::from_be_bytes([0, a, b, c]) as usize) {
                    return Self::of_hello(hello);
                }
            }
            if rest.byte()? != HANDSHAKE {
                return None;
            }
            rest.short()?;
            message.extend_from_slice(rest.long_list()?.0);
        }
    }

    /// Reads the body of a hello (RFC 8446, section 4.1.2).
    fn of_hello(bytes: &[u8]) -> Option<Self> {
        let mut hello = Bytes(bytes);
        let mut version = hello.short()?;
        hello.take(32)?;
        hello.short_list()?;
        let mut ciphers = hello.long_list()?.shorts();
        hello.short_list()?;
        // Extensions may be absent (RFC 5246, section 7.4.1.2).
        let mut listed = if hello.0.is_empty() { Bytes(&[]) } else { hello.long_list()? };
        let mut extensions = Shorts::new();
        let mut signatures = Shorts::new();
        let (mut named, mut alpn) = (b'i', *b"00");
        while !listed.0.is_empty() {
            let kind = listed.short()?;
            let mut body = listed.long_list()?;
            match kind {
                SERVER_NAME => named = b'd',
                ALPN => {
                    alpn = body.long_list().and_then(|mut names| names.short_list()).map_or(alpn, |first| ends(first.0))
                }
                SIGNATURE_ALGORITHMS => signatures = body.long_list().map(Bytes::shorts).unwrap_or_default(),
                SUPPORTED_VERSIONS => {
                    let offered = body.short_list().map(Bytes::shorts).unwrap_or_default();
                    version = offered.iter().copied().filter(|offered| !is_grease(*offered)).max().unwrap_or(version);
                }
                _ => {}
            }
            extensions.push(kind);
        }
        ciphers.retain(|cipher| !is_grease(*cipher));
        extensions.retain(|extension| !is_grease(*extension));
        signatures.retain(|signature| !is_grease(*signature));
        let counts = [&ciphers, &extensions].map(|list| u8::try_from(list.len().min(99)).unwrap_or(99));
        ciphers.sort_unstable();
        extensions.retain(|extension| *extension != SERVER_NAME && *extension != ALPN);
        extensions.sort_unstable();

        let mut text = [b'_'; Self::LENGTH];
        text[0] = b't';
        text[1..3].copy_from_slice(version_word(version));
        text[3] = named;
        for (at, count) in [4, 6].into_iter().zip(counts) {
            text[at..at + 2].copy_from_slice(&[b'0' + count / 10, b'0' + count % 10]);
        }
        text[8..10].copy_from_slice(&alpn);
        text[11..23].copy_from_slice(&digest(&ciphers, &[]));
        text[24..].copy_from_slice(&digest(&extensions, &signatures));
        Some(Self(text))
    }
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ja4({self})")
    }
}

type Shorts = SmallVec<[u16; 64]>;

/// What has not been read yet.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, many: usize) -> Option<Self> {
        let (taken, rest) = self.0.split_at_checked(many)?;
        self.0 = rest;
        Some(Self(taken))
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.0.first().copied()
    }

    fn short(&mut self) -> Option<u16> {
        self.take(2)?.0.try_into().ok().map(u16::from_be_bytes)
    }

    /// A list with a length of one byte.
    fn short_list(&mut self) -> Option<Self> {
        let many = self.byte()?;
        self.take(many.into())
    }

    /// A list with a length of two bytes.
    fn long_list(&mut self) -> Option<Self> {
        let many = self.short()?;
        self.take(many.into())
    }

    fn shorts(self) -> Shorts {
        self.0.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
    }
}

/// Values that mean nothing and are sent so that servers get used to unknown ones (RFC 8701).
pub(super) const fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

const fn version_word(version: u16) -> &'static [u8; 2] {
    match version {
        0x0304 => b"13",
        0x0303 => b"12",
        0x0302 => b"11",
        0x0301 => b"10",
        0x0300 => b"s3",
        0x0002 => b"s2",
        _ => b"00",
    }
}

/// The first and the last character of a protocol's name; of one that is not plain text, of its hexadecimal digits.
fn ends(name: &[u8]) -> [u8; 2] {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return *b"00" };
    match first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        true => [*first, *last],
        false => [digit(first >> 4), digit(last & 15)],
    }
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// Twelve hexadecimal digits of the SHA-256 of a list and what follows it; zeros of nothing.
fn digest(list: &[u16], then: &[u16]) -> [u8; 12] {
    if list.is_empty() {
        return [b'0'; 12];
    }
    let mut sum = Context::new(&SHA256);
    let mut write = |values: &[u16], begin: &[u8]| {
        for (at, value) in values.iter().enumerate() {
            sum.update(if at == 0 { begin } else { b"," });
            let [high, low] = value.to_be_bytes();
            sum.update(&[digit(high >> 4), digit(high & 15), digit(low >> 4), digit(low & 15)]);
        }
    };
    write(list, b"");
    write(then, b"_");
    let sum = sum.finish();
    let mut text = [b'0'; 12];
    for (pair, byte) in text.chunks_exact_mut(2).zip(sum.as_ref()) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn long(body: &[u8]) -> Vec<u8> {
        [&u16::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
    }

    fn shorts(list: &str) -> Vec<u8> {
        list.split(',').flat_map(|hex| u16::from_str_radix(hex, 16).unwrap().to_be_bytes()).collect()
    }

    /// A hello with these lists; extensions that are not looked into are empty.
    fn hello(ciphers: &str, extensions: &str, signatures: &str, alpn: &[u8]) -> Vec<u8> {
        let mut listed = Vec::new();
        for kind in extensions.split(',') {
            let body = match kind {
                "0010" => long(&[&[u8::try_from(alpn.len()).unwrap()], alpn].concat()),
                "000d" => long(&shorts(signatures)),
                "002b" => [&[6][..], &shorts("1a1a,0304,0303")].concat(),
                _ => Vec::new(),
            };
            listed.extend(shorts(kind));
            listed.extend(long(&body));
        }
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(0);
        body.extend(long(&shorts(ciphers)));
        body.extend([1, 0]);
        body.extend(long(&listed));
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[CLIENT_HELLO][..], &length[1..], &body].concat()
    }

    fn records(message: &[u8], each: usize) -> Vec<u8> {
        message.chunks(each).flat_map(|piece| [&[HANDSHAKE, 3, 1][..], &long(piece)].concat()).collect()
    }

    const CIPHERS: &str = "3a3a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035";
    const EXTENSIONS: &str =
        "dada,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015,caca";
    const SIGNATURES: &str = "0403,0804,0401,0503,0805,0501,0806,0601";

    #[test]
    fn the_published_vector_comes_out_whatever_the_order_and_the_grease() {
        let message = hello(CIPHERS, EXTENSIONS, SIGNATURES, b"h2");
        let read = Ja4::of_records(&records(&message, 1 << 14)).unwrap();
        assert_eq!(read.text(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        let turned: Vec<&str> = EXTENSIONS.split(',').rev().collect();
        let message = hello(CIPHERS, &turned.join(","), SIGNATURES, b"h2");
        assert_eq!(Ja4::of_records(&records(&message, 1 << 14)), Some(read));
        assert_eq!(Ja4::parse(read.text().as_bytes()), Some(read));
    }

    #[test]
    fn the_end_of_the_vector_without_signature_algorithms_is_the_published_one() {
        let lists: Vec<u16> = shorts(EXTENSIONS).as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
        let mut lists: Vec<u16> =
            lists.into_iter().filter(|kind| !is_grease(*kind) && *kind != SERVER_NAME && *kind != ALPN).collect();
        lists.sort_unstable();
        assert_eq!(&digest(&lists, &[]), b"6d807ffa2a79");
        assert_eq!(&digest(&[], &[]), b"000000000000");
    }

    #[test]
    fn a_hello_in_many_records_is_one_hello() {
        let message = hello(CIPHERS, EXTENSIONS, SIGNATURES, b"h2");
        let whole = Ja4::of_records(&records(&message, 1 << 14));
        assert!(whole.is_some());
        for each in [1, 2, 3, 5, 100] {
            assert_eq!(Ja4::of_records(&records(&message, each)), whole, "{each} bytes each");
        }
    }

    #[test]
    fn a_protocols_name_is_shortened_as_published() {
        for (name, shown) in [
            (&[0xab][..], b"ab"),
            (&[0x20], b"20"),
            (&[0xab, 0xcd], b"ad"),
            (&[0x20, 0x61], b"21"),
            (&[0x30, 0xab], b"3b"),
            (&[0x61, 0x20], b"60"),
            (&[0x30, 0x31, 0xab, 0xcd], b"3d"),
            (&[0x30, 0xab, 0xcd, 0x31], b"01"),
            (&[], b"00"),
            (b"h2", b"h2"),
            (b"http/1.1", b"h1"),
        ] {
            assert_eq!(&ends(name), shown, "{name:x?}");
        }
    }

    #[test]
    fn what_is_no_fingerprint_is_not_taken_for_one() {
        for text in [
            "",
            "t13d1516h2_8daaf6152771_e5627efa2ab",
            "t13d1516h2_8daaf6152771_e5627efa2ab12",
            "x13d1516h2_8daaf6152771_e5627efa2ab1",
            "t13x1516h2_8daaf6152771_e5627efa2ab1",
            "t13d15a6h2_8daaf6152771_e5627efa2ab1",
            "t13d1516h2-8daaf6152771_e5627efa2ab1",
            "t13d1516h2_8DAAF6152771_e5627efa2ab1",
            "t13d1516\u{e9}_8daaf6152771_e5627efa2ab1",
        ] {
            assert_eq!(Ja4::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Ja4::of_records(&bytes);
            let _ = Ja4::of_hello(&bytes);
            let _ = Ja4::parse(&bytes);
        }

        #[test]
        fn a_hello_that_is_cut_or_changed_does_not_panic(
            at in 0..600_usize, byte in any::<u8>(), length in 0..600_usize, each in 1..64_usize,
        ) {
            let mut message = hello(CIPHERS, EXTENSIONS, SIGNATURES, b"h2");
            if let Some(place) = message.get_mut(at) {
                *place = byte;
            }
            let mut records = records(&message, each);
            records.truncate(length);
            if let Some(read) = Ja4::of_records(&records) {
                prop_assert_eq!(Ja4::parse(read.text().as_bytes()).is_some(), read.text().is_ascii());
            }
        }
    }
}
