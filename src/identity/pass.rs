//! The continuity pass: what a verified sign-in leaves on a device, so that its owner sees their own last-known-good answers there
//! while signing in is not possible.
//!
//! It says whose it is, on which device and since when, sealed, so that its holder reads nothing of how sure Weir was. It opens
//! nothing at the application, and is worth nothing without the device's own cookie. It must never be shown to a page's scripts.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::carried;
use super::signed::{Keyring, Purpose};
use crate::clock::Moment;
use crate::confidence::Reading;
use crate::subject::{Account, Device, Names, Owner, Session};

/// For clients that keep no cookies.
pub const HEADER: HeaderName = HeaderName::from_static("weir-pass");
/// The cookie over TLS, which browsers take from this host alone; and in clear text, for development.
const SECURE: &str = "__Host-weir-pass";
const CLEAR: &str = "weir-pass";

/// The name of the pass's cookie.
pub const fn cookie_name(over_tls: bool) -> &'static str {
    if over_tls { SECURE } else { CLEAR }
}

/// What one pass says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Whose answers it may show.
    pub owner: Owner,
    /// On which device alone.
    pub device: Device,
    /// At which hosts alone, each by [`crate::subject::Host::bits`]: what one application says of a name, another may say of somebody
    /// else. The last first.
    pub hosts: Vec<u32>,
    /// When it was given.
    pub given: Moment,
    /// From which session, where that was known when it was given.
    pub session: Option<Session>,
    /// At which providers its device has been lately, where that is known; the last first.
    pub providers: Vec<u32>,
    /// With which key alone, by a keyed hash of its thumbprint, where the token that it comes from was bound to one (RFC 9449).
    pub bound: Option<u64>,
    /// How the session was that it comes from, as memory writes it.
    pub began: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Written<'b> {
    account: u64,
    name: [u64; 2],
    device: u64,
    hosts: Vec<u32>,
    given: u64,
    session: Option<u64>,
    providers: Vec<u32>,
    bound: Option<u64>,
    #[serde(borrow)]
    began: &'b [u8],
}

/// The value that a request brings; nothing where it brings none, or two.
pub fn carried(headers: &HeaderMap, over_tls: bool) -> Option<&str> {
    match carried::one(headers, cookie_name(over_tls), &HEADER) {
        Reading::Known(value) => Some(value),
        Reading::Unknown(_) => None,
    }
}

/// The pass that a value holds; nothing when it does not hold, whatever the reason.
pub fn open(keys: &Keyring, value: &str, now: Moment) -> Option<Pass> {
    let opened = keys.unseal(Purpose::Pass, value, now).ok()?;
    let written: Written<'_> = postcard::from_bytes(&opened.payload).ok()?;
    let owner = Owner::from_parts(Account::from_bits(written.account), written.name);
    Some(Pass {
        owner,
        session: written.session.map(Session::from_bits),
        device: Device::from_bits(written.device),
        hosts: written.hosts,
        given: Moment::from_unix_seconds(written.given),
        providers: written.providers,
        bound: written.bound,
        began: written.began.to_vec(),
    })
}

/// What a client that keeps no cookies is told instead of this `Set-Cookie` field: its value alone.
pub fn value(field: &HeaderValue) -> Option<HeaderValue> {
    let (_, value) = field.to_str().ok()?.split(';').next()?.split_once('=')?;
    HeaderValue::from_str(value).ok()
}

/// The `Set-Cookie` field that leaves a pass, which lasts for so long and is kept by its browser for longer. `None` only when the system
/// gives no random numbers.
pub fn leave(keys: &Keyring, pass: &Pass, (lasts, kept): (Duration, Duration), over_tls: bool) -> Option<HeaderValue> {
    let written = Written {
        account: pass.owner.account().bits(),
        name: pass.owner.name(),
        device: pass.device.bits(),
        hosts: pass.hosts.clone(),
        given: pass.given.unix_seconds(),
        session: pass.session.map(Session::bits),
        providers: pass.providers.clone(),
        bound: pass.bound,
        began: &pass.began,
    };
    let value = keys.seal(Purpose::Pass, &postcard::to_stdvec(&written).ok()?, pass.given.plus(lasts))?;
    field(&value, kept, over_tls)
}

/// The `Set-Cookie` field that takes a pass away.
pub fn remove(over_tls: bool) -> Option<HeaderValue> {
    field("", Duration::ZERO, over_tls)
}

fn field(value: &str, lasts: Duration, over_tls: bool) -> Option<HeaderValue> {
    let (name, guards) = (cookie_name(over_tls), carried::guards(over_tls));
    HeaderValue::try_from(format!("{name}={value}; Path=/; Max-Age={}; {guards}", lasts.as_secs())).ok()
}

/// What every pass of an account is ended by.
pub fn all_of(names: &Names, account: Account) -> Session {
    Session::from_bits(names.key(&[b"continuity passes of", &account.bits().to_le_bytes()]))
}

/// What every pass of an account on one device is ended by, whichever of them is shown.
pub fn on_device(names: &Names, account: Account, device: Device) -> Session {
    let parts = [account.bits().to_le_bytes(), device.bits().to_le_bytes()];
    Session::from_bits(names.key(&[b"continuity passes on", &parts[0], &parts[1]]))
}

/// What every pass that comes from a session is ended by.
pub fn from_session(names: &Names, session: Session) -> Session {
    Session::from_bits(names.key(&[b"continuity passes from", &session.bits().to_le_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);
    const LASTS: Duration = Duration::from_secs(600);

    #[test]
    fn a_pass_comes_back_as_it_was_given_until_it_ends_and_says_nothing_to_its_holder() {
        let (keys, names) = (Keyring::random().unwrap(), Names::new([1; 16]));
        let pass = Pass {
            owner: names.owner("Ada@example.com"),
            device: Device::from_bits(7),
            hosts: vec![1, u32::MAX],
            given: NOW,
            session: Some(Session::from_bits(9)),
            providers: vec![64_500, 4_200_000_000],
            bound: Some(u64::MAX),
            began: b"how it began".to_vec(),
        };
        let field = leave(&keys, &pass, (LASTS, 2 * LASTS), true).unwrap();
        let field = field.to_str().unwrap();
        assert!(field.starts_with("__Host-weir-pass="), "{field}");
        assert!(field.ends_with("; Path=/; Max-Age=1200; Secure; HttpOnly; SameSite=Lax"), "{field}");
        let value = field.split(['=', ';']).nth(1).unwrap();
        assert!(value.len() < 240, "{value}");
        let opened = open(&keys, value, NOW).unwrap();
        assert_eq!(opened, pass);
        assert_eq!(open(&keys, value, NOW.plus(LASTS)), None);
        assert_eq!(open(&Keyring::random().unwrap(), value, NOW), None);
        for nonsense in ["", ".", "a.b.c", "00000000.9999999999.AAAA"] {
            assert_eq!(open(&keys, nonsense, NOW), None);
        }
    }
}
