//! The device cookie: a random number that Weir signed, by which a browser or an app is known again.
//!
//! A cookie says which device this is, never whose. It can be copied, so the judge lets it weigh only so much. It must never
//! be readable by the page's scripts, and its number goes no further than its keyed hash.

use std::fmt;
use std::hash::Hasher as _;
use std::time::Duration;

use aws_lc_rs::rand;
use http::{HeaderMap, HeaderName, HeaderValue};
use quick_cache::sync::Cache;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::carried;
use super::signed::{Keyring, Purpose};
use crate::clock::Moment;
use crate::confidence::{Reading, Why};
use crate::subject::{Device, Names};

/// For clients that keep no cookies.
pub const HEADER: HeaderName = HeaderName::from_static("weir-device");
/// The cookie over TLS: the prefix makes browsers refuse it from anywhere but this host, over anything but TLS.
const SECURE: &str = "__Host-weir-device";
/// The cookie in clear text, for development.
const CLEAR: &str = "weir-device";
/// 400 days: no browser keeps one for longer.
const LASTING: Duration = Duration::from_secs(400 * 24 * 3600);
/// Half way through, a device is given a fresh one.
const RENEWED: Duration = Duration::from_secs(200 * 24 * 3600);

/// The name of the device cookie.
pub const fn cookie_name(over_tls: bool) -> &'static str {
    if over_tls { SECURE } else { CLEAR }
}

/// A device that was told who it is.
#[derive(Debug)]
pub struct Minted {
    /// The device.
    pub device: Device,
    /// For `Set-Cookie`.
    pub cookie: HeaderValue,
    /// For the `Weir-Device` header of clients without cookies.
    pub token: HeaderValue,
}

/// A device cookie that was believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The device.
    pub device: Device,
    /// Until when its cookie is good.
    pub expires: Moment,
}

impl Known {
    /// Whether it is time for a fresh cookie.
    pub fn is_due(&self, now: Moment) -> bool {
        self.expires.since(now) < RENEWED
    }
}

/// Makes device cookies and reads them. One for the process.
pub struct Devices {
    keys: Keyring,
    names: Names,
    /// Cookies that were believed, by keyed hash, so that a request costs no HMAC. The loser is the least used: it costs
    /// one HMAC again.
    believed: Cache<u128, (Known, u64)>,
    cache_key: [u8; 16],
}

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devices").field("believed", &self.believed.len()).finish_non_exhaustive()
    }
}

impl Devices {
    /// Device cookies under these keys; `remembered` of those that were believed are not verified again.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new(keys: Keyring, names: Names, remembered: usize) -> Result<Self, super::signed::KeyringError> {
        let mut cache_key = [0; 16];
        rand::fill(&mut cache_key).map_err(|_| super::signed::KeyringError::Random)?;
        Ok(Self { keys, names, believed: Cache::new(remembered), cache_key })
    }

    /// The device of this request, by its cookie or, without one, by its header. A cookie that does not hold is none.
    pub fn read(&self, headers: &HeaderMap, over_tls: bool, now: Moment) -> Reading<Known> {
        let value = match carried::one(headers, cookie_name(over_tls), &HEADER) {
            Reading::Known(value) => value,
            Reading::Unknown(why) => return Reading::Unknown(why),
        };
        let known = self.open(value, now);
        known.map_or(Reading::Unknown(Why::Missing), Reading::Known)
    }

    fn open(&self, value: &str, now: Moment) -> Option<Known> {
        let mut hasher = SipHasher13::new_with_key(&self.cache_key);
        hasher.write(value.as_bytes());
        let hash = hasher.finish128().as_u128();
        let epoch = self.keys.epoch();
        if let Some((known, under)) = self.believed.get(&hash)
            && under == epoch
        {
            return (known.expires > now).then_some(known);
        }
        let opened = self.keys.open_value(Purpose::Device, value, now).ok()?;
        let known = Known { device: self.names.device(&opened.payload), expires: opened.expires };
        self.believed.insert(hash, (known, epoch));
        Some(known)
    }

    /// A new device. `None` only when the system gives no random numbers: then the client stays without a cookie.
    pub fn mint(&self, over_tls: bool, now: Moment) -> Option<Minted> {
        let mut id = [0; 16];
        rand::fill(&mut id).ok()?;
        self.sign(&id, over_tls, now)
    }

    /// A fresh cookie for the device that this value names, when [`Known::is_due`]. `None` when the value does not hold.
    pub fn renew(&self, headers: &HeaderMap, over_tls: bool, now: Moment) -> Option<Minted> {
        let value = carried::one(headers, cookie_name(over_tls), &HEADER).known()?;
        let opened = self.keys.open_value(Purpose::Device, value, now).ok()?;
        self.sign(&opened.payload, over_tls, now)
    }

    fn sign(&self, id: &[u8], over_tls: bool, now: Moment) -> Option<Minted> {
        let token = self.keys.sign(Purpose::Device, id, now.plus(LASTING));
        let (name, guards) = (cookie_name(over_tls), carried::guards(over_tls));
        let cookie = format!("{name}={token}; Path=/; Max-Age={}; {guards}", LASTING.as_secs());
        Some(Minted {
            device: self.names.device(id),
            cookie: HeaderValue::try_from(cookie).ok()?,
            token: HeaderValue::try_from(token).ok()?,
        })
    }
}

/// Whether this is a client that keeps no cookies: an app, never a browser, whose scripts must not be able to read what is theirs. Browsers
/// say how they fetch (Fetch metadata), and nothing on a page can keep them from it.
pub fn keeps_no_cookies(headers: &HeaderMap) -> bool {
    let browser = headers.contains_key("sec-fetch-mode") || headers.contains_key("sec-fetch-site");
    let is_page = |accept: &HeaderValue| accept.as_bytes().windows(9).any(|range| range == b"text/html");
    let page = headers.get_all(http::header::ACCEPT).iter().any(is_page);
    !browser && !page && (headers.contains_key(HEADER) || !headers.contains_key(http::header::COOKIE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;

    const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

    fn devices() -> Devices {
        Devices::new(Keyring::random().unwrap(), Names::new([1; 16]), 16).unwrap()
    }

    fn carrying(minted: &Minted, over_tls: bool) -> HeaderMap {
        let cookie = format!("a=b; {}={}", cookie_name(over_tls), minted.token.to_str().unwrap());
        [(header::COOKIE, HeaderValue::try_from(cookie).unwrap())].into_iter().collect()
    }

    #[test]
    fn a_device_is_known_again_by_its_cookie_and_by_its_header() {
        let devices = devices();
        let minted = devices.mint(true, NOW).unwrap();
        let set = minted.cookie.to_str().unwrap();
        assert!(set.starts_with("__Host-weir-device=") && set.contains("; Secure; HttpOnly; SameSite=Lax"), "{set}");
        let by_header: HeaderMap = [(HEADER, minted.token.clone())].into_iter().collect();
        for headers in [carrying(&minted, true), by_header] {
            for _ in 0..2 {
                assert_eq!(devices.read(&headers, true, NOW).map(|k| k.device), Reading::Known(minted.device));
            }
        }
        assert_eq!(devices.read(&carrying(&minted, true), false, NOW), Reading::Unknown(Why::Missing));
    }

    #[test]
    fn a_cookie_dies_with_its_time_and_with_its_keys_even_when_it_was_believed_before() {
        let devices = devices();
        let minted = devices.mint(false, NOW).unwrap();
        let headers = carrying(&minted, false);
        assert!(devices.read(&headers, false, NOW).known().is_some());
        assert_eq!(devices.read(&headers, false, NOW.plus(LASTING)), Reading::Unknown(Why::Missing));
        devices.keys.rotate().unwrap();
        assert!(devices.read(&headers, false, NOW).known().is_some());
        devices.keys.rotate().unwrap();
        assert_eq!(devices.read(&headers, false, NOW), Reading::Unknown(Why::Missing));
    }

    #[test]
    fn a_forged_cookie_is_none_and_two_are_ambiguous() {
        let devices = devices();
        let (one, two) = (devices.mint(false, NOW).unwrap(), devices.mint(false, NOW).unwrap());
        let mut headers = carrying(&one, false);
        headers.insert(HEADER, two.token.clone());
        assert_eq!(devices.read(&headers, false, NOW), Reading::Unknown(Why::Ambiguous));
        let forged: HeaderMap =
            [(header::COOKIE, HeaderValue::from_static("weir-device=00000000.9999999999.AAAA.AAAA"))]
                .into_iter()
                .collect();
        assert_eq!(devices.read(&forged, false, NOW), Reading::Unknown(Why::Missing));
    }

    #[test]
    fn a_renewed_cookie_names_the_same_device() {
        let devices = devices();
        let minted = devices.mint(false, NOW).unwrap();
        let headers = carrying(&minted, false);
        let later = NOW.plus(RENEWED).plus(Duration::from_secs(1));
        let known = devices.read(&headers, false, later).known().unwrap();
        assert!(known.is_due(later) && !known.is_due(NOW));
        assert_eq!(devices.renew(&headers, false, later).unwrap().device, minted.device);
    }
}
