//! Client profiles: how apps in the field are answered, so that they react well. Which status asks for a proof or refuses, and
//! the body in the app's own format.
//!
//! An app in a version that no profile covers is never asked with a 401: many log the customer out at one.

use http::HeaderValue;

use super::condition::Condition;
use super::facts::Facts;
use super::notices::BodyId;

/// Every profile, in the order of the files. The first that fits is chosen.
#[derive(Debug, Default)]
pub struct Profiles {
    pub(in crate::rules) all: Vec<Profile>,
}

/// How some clients are answered.
#[derive(Debug)]
pub struct Profile {
    /// As in the rule file.
    pub name: Box<str>,
    /// Which requests; all when absent.
    pub when: Option<Condition>,
    /// Which app; any client when absent.
    pub app: Option<App>,
    /// The status that asks for one more proof.
    pub step_up: Option<u16>,
    /// The status of a handoff or refusal.
    pub refused: Option<u16>,
    /// The status of a throttle or limit.
    pub throttle: Option<u16>,
    /// The status when something is away, full or not to be changed.
    pub unavailable: Option<u16>,
    /// The body, and what it is.
    pub body: Option<(BodyId, HeaderValue)>,
}

/// Some versions of an app.
#[derive(Debug)]
pub struct App {
    /// The product token in its User-Agent.
    pub name: Box<str>,
    /// The first version.
    pub from: Version,
    /// The first version that is no longer one of them.
    pub below: Option<Version>,
}

/// Up to four numbers with dots; what is left out is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u32; 4]);

impl Version {
    /// Reads `3`, `3.2`, `3.2.10.7`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut version = Self::default();
        let mut parts = text.split(|byte| *byte == b'.');
        for place in &mut version.0 {
            let Some(part) = parts.next() else { break };
            let digits = !part.is_empty() && part.len() <= 9 && part.iter().all(u8::is_ascii_digit);
            *place = if digits {
                part.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
            } else {
                return None;
            };
        }
        parts.next().is_none().then_some(version)
    }
}

/// Which profile a request has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choice {
    profile: Option<u16>,
    /// The client is an app that the profiles know, in a version that none of them covers.
    pub unknown_version: bool,
}

/// Bytes of a User-Agent that are looked at.
const LOOKED_AT: usize = 512;

impl Profiles {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.all.iter()
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The profile of a request. `facts` is missing where the request itself could not be read; then only its User-Agent speaks.
    pub fn choose(&self, facts: Option<&Facts<'_>>, user_agent: Option<&[u8]>) -> Choice {
        let agent = user_agent.unwrap_or_default();
        let agent = &agent[..agent.len().min(LOOKED_AT)];
        let (mut named, mut covered) = (false, false);
        let mut chosen = None;
        for (at, profile) in (0u16..).zip(&self.all) {
            let is_app = profile.app.as_ref().is_none_or(|app| match app.version_in(agent) {
                None => false,
                Some(version) => {
                    named = true;
                    let fits = version.is_some_and(|version| app.covers(version));
                    covered |= fits;
                    fits
                }
            });
            let holds = || profile.when.as_ref().is_none_or(|when| facts.is_some_and(|facts| when.holds(facts)));
            if chosen.is_none() && is_app && holds() {
                chosen = Some(at);
            }
        }
        Choice { profile: chosen, unknown_version: named && !covered }
    }

    /// The chosen profile.
    pub fn get(&self, choice: Choice) -> Option<&Profile> {
        self.all.get(usize::from(choice.profile?))
    }
}

impl App {
    fn covers(&self, version: Version) -> bool {
        version >= self.from && self.below.is_none_or(|below| version < below)
    }

    /// Whether this User-Agent names the app, and the version that it names; none when it cannot be read.
    fn version_in(&self, agent: &[u8]) -> Option<Option<Version>> {
        let name = self.name.as_bytes();
        agent.split(|byte| b" ;,()".contains(byte)).find_map(|product| {
            let (head, rest) = product.split_at_checked(name.len())?;
            if !head.eq_ignore_ascii_case(name) {
                return None;
            }
            let Some(version) = rest.strip_prefix(b"/") else { return rest.is_empty().then_some(None) };
            let end = version.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(version.len());
            Some(Version::parse(&version[..end]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(app: Option<(&str, &str, Option<&str>)>) -> Profile {
        let version = |text: &str| Version::parse(text.as_bytes()).unwrap();
        let app =
            app.map(|(name, from, below)| App { name: name.into(), from: version(from), below: below.map(version) });
        let name = "p".into();
        Profile { name, when: None, app, step_up: None, refused: None, throttle: None, unavailable: None, body: None }
    }

    #[test]
    fn a_version_is_compared_number_by_number() {
        let version = |text: &str| Version::parse(text.as_bytes());
        assert!(version("3.10") > version("3.9.9") && version("3") == version("3.0.0.0"));
        for bad in ["", ".", "3.", "3..1", "a", "1.2.3.4.5", "9999999999", "-1"] {
            assert_eq!(version(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_first_profile_that_fits_is_chosen_and_an_unknown_version_is_noticed() {
        let profiles = Profiles { all: vec![profile(Some(("ShopApp", "3.2", Some("4.0")))), profile(None)] };
        let choose = |agent: &str| {
            let choice = profiles.choose(None, Some(agent.as_bytes()));
            (choice.profile, choice.unknown_version)
        };
        assert_eq!(choose("ShopApp/3.2 (iPhone; iOS 19)"), (Some(0), false));
        assert_eq!(choose("Mozilla/5.0 (Linux) shopapp/3.99.1-beta"), (Some(0), false));
        assert_eq!(choose("ShopApp/4.0"), (Some(1), true));
        assert_eq!(choose("ShopApp/3.1.9"), (Some(1), true));
        assert_eq!(choose("ShopApp"), (Some(1), true));
        assert_eq!(choose("ShopApp/next"), (Some(1), true));
        assert_eq!(choose("ShopApper/3.2"), (Some(1), false));
        assert_eq!(choose("Mozilla/5.0"), (Some(1), false));
        assert_eq!(profiles.choose(None, None), Choice { profile: Some(1), unknown_version: false });
    }
}
