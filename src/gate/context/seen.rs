//! What a request shows of its client's software and of where it comes from. Asked only where a journey is judged.
//!
//! What a worker looked up lately it remembers, so that the next request of the same client costs a comparison: a fixed number of
//! places, of which the older one loses. Nothing here is waited for.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName};

use super::Client;
use super::once::{Hello, Once};
use crate::clock::Moment;
use crate::confidence::{Reading, Why};
use crate::judge::seen::{self, Software, Whereabouts};
use crate::listen::{Ja4, Peer};
use crate::lists::{Book, Found};
use crate::subject::{Names, Network};
use crate::swap::Reader;

/// Places for programs, and for addresses.
const PROGRAMS: usize = 64;
const ADDRESSES: usize = 256;
/// Bytes of a `User-Agent` that are looked at.
const LONGEST: usize = 512;

/// What one worker looked up lately, and the lists that it looks in.
#[derive(Debug)]
pub struct Lookups {
    lists: RefCell<Reader<Book>>,
    programs: RefCell<Box<[Option<Program>]>>,
    addresses: Box<[Cell<Option<Known>>]>,
    /// The lists that the addresses were looked up in. Held, so that its place is not used again.
    book: RefCell<Option<Arc<Book>>>,
}

/// What a program says of itself, and what it is.
type Program = (Box<str>, Software);

/// One address that was looked up.
#[derive(Debug, Clone, Copy)]
struct Known {
    address: IpAddr,
    range: Network,
    found: Found,
    since: Moment,
}

impl Lookups {
    /// Nothing looked up yet.
    pub fn new(lists: Reader<Book>) -> Self {
        Self {
            lists: RefCell::new(lists),
            programs: RefCell::new(vec![None; PROGRAMS].into()),
            addresses: (0..ADDRESSES).map(|_| Cell::new(None)).collect(),
            book: RefCell::new(None),
        }
    }

    /// Where an address is.
    pub fn whereabouts(&self, names: &Names, address: IpAddr, network: Network, now: Moment) -> Whereabouts {
        let book = self.lists.borrow_mut().pin();
        let mut last = self.book.borrow_mut();
        if !last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &book)) {
            self.addresses.iter().for_each(|place| place.set(None));
            *last = Some(Arc::clone(&book));
        }
        let place = &self.addresses[network.bits() as usize % ADDRESSES];
        let known =
            place.get().filter(|known| known.address == address && now >= known.since && now < known.found.until);
        let known = known.unwrap_or_else(|| {
            let found = book.look_up(address, now);
            let known = Known { address, range: names.range(address), found, since: now };
            place.set(Some(known));
            known
        });
        let Found { provider, country, listed, .. } = known.found;
        Whereabouts { network, range: known.range, provider, country, listed }
    }

    /// What a request says that its client is.
    fn software(&self, headers: &HeaderMap) -> Reading<Software> {
        let mut all = headers.get_all(USER_AGENT).iter();
        let Some(said) = all.next() else { return Reading::Unknown(Why::Missing) };
        let Some(text) = said.to_str().ok().filter(|_| all.next().is_none()) else {
            return Reading::Unknown(Why::Ambiguous);
        };
        // A field's text is ASCII here, so that it can be cut anywhere.
        let text = text.get(..LONGEST).unwrap_or(text);
        let mut programs = self.programs.borrow_mut();
        let place = &mut programs[place_of(text.as_bytes()) % PROGRAMS];
        if let Some((known, software)) = place
            && **known == *text
        {
            return Reading::Known(*software);
        }
        let software = Software::of(text);
        *place = Some((text.into(), software));
        Reading::Known(software)
    }

    /// What a request shows of its client.
    pub fn client(&self, peer: &Peer, client: &Client, header: Option<&HeaderName>, headers: &HeaderMap) -> Seen {
        let hello = match (client.proxied, header) {
            (false, _) => peer.keep(|| Once::of(peer)).map_or_else(|| Once::of(peer).hello, |once| once.hello),
            // The connection is the proxy's own: only it can say what its client showed.
            (true, Some(name)) => Hello::of(said_by_a_proxy(headers, name), None),
            (true, None) => Hello::unknown(Why::Proxied),
        };
        let Hello { ja4, stack, fingerprint } = hello;
        Seen { ja4: ja4.known(), client: seen::Client { software: self.software(headers), stack, fingerprint } }
    }
}

/// A client, and the fingerprint that people know it by.
#[derive(Debug)]
pub struct Seen {
    /// For the decision line.
    pub ja4: Option<Ja4>,
    /// For the judge.
    pub client: seen::Client,
}

/// What a trusted proxy wrote of its client's hello.
fn said_by_a_proxy(headers: &HeaderMap, name: &HeaderName) -> Reading<Ja4> {
    let mut all = headers.get_all(name).iter();
    let Some(said) = all.next() else { return Reading::Unknown(Why::Proxied) };
    let only = Some(said).filter(|_| all.next().is_none());
    only.and_then(|said| Ja4::parse(said.as_bytes())).map_or(Reading::Unknown(Why::Ambiguous), Reading::Known)
}

/// A place for a text. Who finds two texts of one place makes this worker look twice, and no more.
fn place_of(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    let mix = |sum: u64, word: u64| (sum.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let sum = words.iter().fold(text.len() as u64, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    let sum = rest.iter().fold(sum, |sum, byte| mix(sum, u64::from(*byte)));
    (sum >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swap::Swap;

    fn lookups() -> Lookups {
        Lookups::new(Swap::new(Arc::<Book>::default()).reader())
    }

    fn saying(agents: &[&str]) -> HeaderMap {
        agents.iter().map(|agent| (USER_AGENT, agent.parse().unwrap())).collect()
    }

    #[test]
    fn a_program_is_the_same_whether_it_is_remembered_or_not() {
        let lookups = lookups();
        for round in 0..3 {
            for version in 0..200 {
                let agent = format!("Shop/{version}.0 (iPhone; iOS 18.{round})");
                assert_eq!(lookups.software(&saying(&[&agent])), Reading::Known(Software::of(&agent)));
                assert_eq!(lookups.software(&saying(&[&agent])), Reading::Known(Software::of(&agent)));
            }
        }
        assert!(lookups.programs.borrow().iter().flatten().count() <= PROGRAMS);
    }

    #[test]
    fn two_programs_in_one_request_or_none_are_no_program() {
        assert_eq!(lookups().software(&saying(&[])), Reading::Unknown(Why::Missing));
        assert_eq!(lookups().software(&saying(&["a", "b"])), Reading::Unknown(Why::Ambiguous));
        let long = "x".repeat(60_000);
        assert_eq!(lookups().software(&saying(&[&long])), Reading::Known(Software::of(&long[..LONGEST])));
    }
}
