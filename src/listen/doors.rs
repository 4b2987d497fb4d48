//! Counts connections over all workers: in all, and for each address. The newest loses, and is closed before it costs anything.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const SHARDS: usize = 64;

/// Why a connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// There are too many in all.
    Full,
    /// There are too many from this address.
    Crowded,
}

/// The count of all connections, shared by all workers. Never larger than the connections that it lets in.
#[derive(Clone, Debug)]
pub struct Doors(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    all: usize,
    per_address: usize,
    inside: AtomicUsize,
    turned: AtomicUsize,
    resting: AtomicUsize,
    starved: AtomicUsize,
    keys: RandomState,
    shards: Box<[Mutex<HashMap<IpAddr, usize>>]>,
}

impl Doors {
    /// Doors for so many connections in all, and so many from one address.
    pub fn new(all: usize, per_address: usize) -> Self {
        Self(Arc::new(Counts {
            all,
            per_address,
            inside: AtomicUsize::new(0),
            turned: AtomicUsize::new(0),
            resting: AtomicUsize::new(0),
            starved: AtomicUsize::new(0),
            keys: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }))
    }

    /// Lets a connection in, or says why not. It is inside until the pass is dropped.
    pub fn enter(&self, address: IpAddr) -> Result<Pass, Turned> {
        let mut pass = self.enter_unnamed()?;
        pass.name(address)?;
        Ok(pass)
    }

    /// The same for one whose address is not known yet.
    pub(super) fn enter_unnamed(&self) -> Result<Pass, Turned> {
        let counts = &self.0;
        if counts.inside.fetch_add(1, Ordering::Relaxed) >= counts.all {
            counts.inside.fetch_sub(1, Ordering::Relaxed);
            counts.turned.fetch_add(1, Ordering::Relaxed);
            return Err(Turned::Full);
        }
        Ok(Pass { doors: self.clone(), address: None })
    }

    /// Connections inside now.
    pub fn inside(&self) -> usize {
        self.0.inside.load(Ordering::Relaxed)
    }

    /// Connections turned away since the start.
    pub fn turned(&self) -> usize {
        self.0.turned.load(Ordering::Relaxed)
    }

    /// Connections inside that have been silent for a while and hold nothing but their socket.
    pub fn resting(&self) -> usize {
        self.0.resting.load(Ordering::Relaxed)
    }

    /// How often nobody could be let in because the process had no descriptors left.
    pub fn starved(&self) -> usize {
        self.0.starved.load(Ordering::Relaxed)
    }

    pub(super) fn starve(&self) {
        self.0.starved.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection inside rests until the guard is dropped.
    pub(super) fn rest(&self) -> Resting<'_> {
        self.0.resting.fetch_add(1, Ordering::Relaxed);
        Resting(self)
    }
}

impl Counts {
    fn shard(&self, address: &IpAddr) -> &Mutex<HashMap<IpAddr, usize>> {
        &self.shards[self.keys.hash_one(address) as usize % SHARDS]
    }
}

/// One connection at rest.
pub(super) struct Resting<'a>(&'a Doors);

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.0.resting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One connection inside; dropping it lets another in.
#[derive(Debug)]
pub struct Pass {
    doors: Doors,
    /// None until it is known.
    address: Option<IpAddr>,
}

impl Pass {
    /// The connection is this address's, or there are too many of it. Said once.
    pub(super) fn name(&mut self, address: IpAddr) -> Result<(), Turned> {
        let counts = &self.doors.0;
        let address = network(address);
        let mut shard = counts.shard(&address).lock().unwrap_or_else(PoisonError::into_inner);
        let here = shard.entry(address).or_insert(0);
        if *here >= counts.per_address {
            if *here == 0 {
                shard.remove(&address);
            }
            counts.turned.fetch_add(1, Ordering::Relaxed);
            return Err(Turned::Crowded);
        }
        *here += 1;
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let counts = &self.doors.0;
        let Some(address) = self.address else {
            counts.inside.fetch_sub(1, Ordering::Relaxed);
            return;
        };
        let mut shard = counts.shard(&address).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = shard.get_mut(&address) {
            *here -= 1;
            if *here == 0 {
                shard.remove(&address);
                // A flood from many addresses leaves no large table behind.
                if shard.capacity() > 64 && shard.len() * 8 < shard.capacity() {
                    shard.shrink_to(32);
                }
            }
        }
        drop(shard);
        counts.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One IPv4 address, or one IPv6 /64: what one subscriber has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_connection_loses_and_room_comes_back() {
        let doors = Doors::new(3, 2);
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = doors.enter(a);
        let _second = doors.enter(a).expect("room");
        assert_eq!(doors.enter(a).err(), Some(Turned::Crowded));
        let _third = doors.enter(b).expect("room");
        assert_eq!(doors.enter(b).err(), Some(Turned::Full));
        assert_eq!((doors.inside(), doors.turned()), (3, 2));
        drop(first);
        assert!(doors.enter(b).is_ok());
    }

    #[test]
    fn one_ipv6_subscriber_is_one_address() {
        let doors = Doors::new(9, 1);
        let _first = doors.enter("2001:db8::1".parse().expect("address")).expect("room");
        assert_eq!(doors.enter("2001:db8::2".parse().expect("address")).err(), Some(Turned::Crowded));
        assert!(doors.enter("2001:db8:0:1::1".parse().expect("address")).is_ok());
    }

    #[test]
    fn nothing_is_kept_for_addresses_that_left() {
        let doors = Doors::new(100_000, 5);
        for n in 0..50_000_u32 {
            drop(doors.enter(IpAddr::from(n.to_be_bytes())));
        }
        assert_eq!(doors.inside(), 0);
        assert!(doors.0.shards.iter().all(|shard| shard.lock().expect("lock").is_empty()));
    }
}
