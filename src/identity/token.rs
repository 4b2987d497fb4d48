//! Bearer tokens (RFC 6750, RFC 7519, RFC 8725): who the subject is, and what they have proved.
//!
//! Only the signature is left to the library; every claim is checked here, at a moment that is an argument. It must never
//! believe an algorithm that its key does not have, never wait for keys, and never keep or print a token.

use std::fmt;
use std::hash::Hasher as _;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use http::{HeaderMap, header};
use quick_cache::sync::Cache;
use serde_json::{Map, Value};
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use smallvec::SmallVec;

use super::dpop::{Asked, Binding, Proofs, Unbound};
use super::jws::{Jws, Unsigned};
use super::keys::Keys;
use super::signed::KeyringError;
use crate::clock::Moment;
use crate::confidence::{Reading, Why};
use crate::judge::signals::authentication::Proof;
use crate::rules::ruleset::{JwtSource, RuleSet};
use crate::subject::{Account, Names, Owner, Session};

/// How far the issuer's clock may be from ours.
pub(super) const LEEWAY: Duration = Duration::from_secs(30);
/// Longer tokens are refused before anything is computed.
const LONGEST: usize = 16 * 1024;
/// Values of claims that are remembered of one token. The loser is the last: issuers put their own claims first or few.
const SAYS: usize = 64;

/// What a request's `Authorization` field said.
#[derive(Clone, Debug)]
pub enum Bearer {
    /// No bearer token.
    Absent,
    /// A token that holds.
    Valid(Arc<Claims>),
    /// A token that does not, and why: 401 `invalid_token` on a journey.
    Invalid(&'static str),
    /// A token that would hold, without what it is bound to: worth as little as one that does not.
    Unbound(Unbound),
    /// A token that cannot be verified now.
    Unverifiable(Why),
}

impl Bearer {
    /// The claims as a reading: an invalid token says as little as none.
    pub fn reading(&self) -> Reading<&Claims> {
        match self {
            Self::Valid(claims) => Reading::Known(claims),
            Self::Unverifiable(why) => Reading::Unknown(*why),
            Self::Absent | Self::Invalid(_) | Self::Unbound(_) => Reading::Unknown(Why::Missing),
        }
    }
}

/// What a verified token says. The names in it are hashed already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The account, by the claim that the rules name.
    pub account: Account,
    /// The same, to the letter.
    pub owner: Owner,
    /// The session: `sid`, or else the subject and when it signed in.
    pub session: Session,
    /// The class of authentication.
    pub acr: Option<Box<str>>,
    /// Its methods (RFC 8176).
    pub amr: SmallVec<[Box<str>; 4]>,
    /// What else it says, name and value as one hash: text, numbers and truth values, and each text of a list. The first so many.
    says: SmallVec<[u64; 8]>,
    /// When the subject proved itself.
    pub auth_time: Option<Moment>,
    /// When the token was issued.
    pub issued: Option<Moment>,
    /// Until when it is good.
    pub expires: Moment,
    /// The key or certificate that must be shown with it.
    pub bound: Option<Binding>,
}

impl Claims {
    /// When its session began, as far as it says: a token that says nothing is as old as can be.
    pub fn began(&self) -> Moment {
        self.auth_time.or(self.issued).unwrap_or_default()
    }

    /// What the subject has proved, in this rule set: the strongest level that `acr` or `amr` proves, else the weakest. A token
    /// that does not say when is as old as can be. Only of claims that [`Tokens::read`] gave for this request: what they are bound
    /// to was shown.
    pub fn proof(&self, rules: &RuleSet) -> Option<Proof> {
        let named = rules.level_of(self.acr.as_deref(), self.amr.iter().map(|method| &**method));
        let level = named.or_else(|| rules.weakest_level())?;
        Some(Proof { level, at: self.auth_time.unwrap_or_default(), held: false, bound: self.bound.is_some() })
    }
}

/// Verifies the tokens of one issuer. One for the process; made anew when the rules name another issuer.
pub struct Tokens {
    keys: Arc<Keys>,
    law: JwtSource,
    names: Names,
    /// Tokens that were verified, by keyed hash, until they expire or the keys change. The loser is the least used: it costs
    /// one verification again.
    verified: Cache<u128, (Arc<Claims>, u64)>,
    proofs: Proofs,
    cache_key: [u8; 16],
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("issuer", &self.law.issuer)
            .field("verified", &self.verified.len())
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens of this issuer under these keys; `remembered` of those that were verified are not verified again.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new(keys: Arc<Keys>, law: JwtSource, names: Names, remembered: usize) -> Result<Self, KeyringError> {
        super::install();
        let mut cache_key = [0; 16];
        rand::fill(&mut cache_key).map_err(|_| KeyringError::Random)?;
        let (verified, proofs) = (Cache::new(remembered), Proofs::new(names.clone()));
        Ok(Self { keys, law, names, verified, proofs, cache_key })
    }

    /// What the `Authorization` field of these headers says now, on this request: a token that is bound to a key is valid only
    /// where that key is shown.
    pub fn read(&self, headers: &HeaderMap, asked: &Asked<'_>, now: Moment) -> Bearer {
        let (token, scheme) = match bearer(headers) {
            Ok(None) => return Bearer::Absent,
            Ok(Some(brought)) => brought,
            Err(flaw) => return Bearer::Invalid(flaw),
        };
        let bearer = self.verify(token, now);
        let Bearer::Valid(claims) = &bearer else { return bearer };
        match (claims.bound, scheme) {
            (None, Scheme::Bearer) => bearer,
            (None, Scheme::Dpop) => Bearer::Unbound(Unbound::Key("it is brought as bound to a key and is not")),
            (Some(binding), Scheme::Bearer) if binding.is_to_a_key() => {
                Bearer::Unbound(Unbound::Key("it is bound to a key and brought without it"))
            }
            (Some(binding), _) => match self.proofs.check(binding, token, headers, asked, now) {
                Ok(()) => bearer,
                Err(unbound) => Bearer::Unbound(unbound),
            },
        }
    }

    /// Whom a token names, whatever it is worth: nothing is verified, so that it may only speak against whoever brings it.
    pub fn named(&self, headers: &HeaderMap) -> Option<Owner> {
        let (token, _) = bearer(headers).ok()??;
        let claims = Jws::read(token).ok()?.claims()?;
        let name = claims.get(&*self.law.account_claim).and_then(name)?;
        Some(self.names.owner(&name))
    }

    /// The thumbprint of the key that these headers prove on this request, also where the token that they bring is worth nothing any more.
    pub fn shown_key(&self, headers: &HeaderMap, asked: &Asked<'_>, now: Moment) -> Option<[u8; 32]> {
        match bearer(headers) {
            Ok(Some((token, Scheme::Dpop))) => self.proofs.shown(token, headers, asked, now),
            Ok(Some((_, Scheme::Bearer)) | None) | Err(_) => None,
        }
    }

    fn verify(&self, token: &str, now: Moment) -> Bearer {
        if let Err(why) = self.keys.usable(now) {
            return Bearer::Unverifiable(why);
        }
        let mut hasher = SipHasher13::new_with_key(&self.cache_key);
        hasher.write(token.as_bytes());
        let hash = hasher.finish128().as_u128();
        // Read before verifying, so that keys that change meanwhile make the entry an old one.
        let generation = self.keys.generation();
        let known = self.verified.get(&hash).filter(|(_, under)| *under == generation);
        let claims = match known {
            Some((claims, _)) => claims,
            None => match self.verify_anew(token, now) {
                Ok(claims) => {
                    let claims = Arc::new(claims);
                    self.verified.insert(hash, (claims.clone(), generation));
                    claims
                }
                Err(Doubt::Flaw(flaw)) => return Bearer::Invalid(flaw),
                Err(Doubt::NoSuchKey) if self.keys.ask(now) => return Bearer::Unverifiable(Why::Stale),
                Err(Doubt::NoSuchKey) => return Bearer::Invalid("signed with a key that the issuer does not publish"),
            },
        };
        if now >= claims.expires.plus(LEEWAY) {
            self.verified.remove(&hash);
            return Bearer::Invalid("expired");
        }
        Bearer::Valid(claims)
    }

    fn verify_anew(&self, token: &str, now: Moment) -> Result<Claims, Doubt> {
        let token = Jws::read(token).map_err(Doubt::Flaw)?;
        if token.head.kind().is_some_and(|kind| !is_access_token(&kind)) {
            return Err(Doubt::Flaw("it is another kind of token"));
        }
        let algorithm = token.algorithm().map_err(Doubt::Flaw)?;
        token.is_of_one(&self.keys.set(), algorithm).map_err(|unsigned| match unsigned {
            Unsigned::Wrong => Doubt::Flaw("its signature does not hold"),
            Unsigned::NoSuchKey => Doubt::NoSuchKey,
        })?;
        let claims = token.claims().ok_or(Doubt::Flaw("its claims cannot be read"))?;
        self.check(&claims, now).map_err(Doubt::Flaw)
    }

    fn check(&self, claims: &Map<String, Value>, now: Moment) -> Result<Claims, &'static str> {
        if claims.get("iss").and_then(Value::as_str) != Some(&*self.law.issuer) {
            return Err("it is from another issuer");
        }
        let meant = match claims.get("aud") {
            Some(Value::String(one)) => **one == *self.law.audience,
            Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(&*self.law.audience)),
            _ => false,
        };
        if !meant {
            return Err("it is for another audience");
        }
        let latest = now.plus(LEEWAY);
        let expires = moment(claims.get("exp")).ok_or("it does not say when it expires")?;
        if now >= expires.plus(LEEWAY) {
            return Err("expired");
        }
        if claims.contains_key("nbf") && moment(claims.get("nbf")).is_none_or(|from| from > latest) {
            return Err("not valid yet");
        }
        let auth_time = moment(claims.get("auth_time"));
        if auth_time.is_some_and(|at| at > latest) {
            return Err("it was proved in the future");
        }
        let issued = moment(claims.get("iat"));
        let name = claims.get(&*self.law.account_claim).and_then(name).ok_or("it names no account")?;
        let session = match claims.get("sid").and_then(Value::as_str).filter(|sid| !sid.is_empty()) {
            Some(sid) => self.names.session(sid.as_bytes()),
            None => {
                let subject = claims.get("sub").and_then(Value::as_str).unwrap_or(&name);
                let began = auth_time.or(issued).unwrap_or_default().unix_seconds();
                self.names.session(format!("{began} {subject}").as_bytes())
            }
        };
        let amr = match claims.get("amr") {
            Some(Value::Array(methods)) => methods.iter().filter_map(Value::as_str).take(16).map(Into::into).collect(),
            _ => SmallVec::new(),
        };
        let acr = claims.get("acr").and_then(Value::as_str).map(Into::into);
        let says = self.says(claims);
        let bound = claims.get("cnf").map(Binding::read).transpose()?;
        let owner = self.names.owner(&name);
        Ok(Claims { account: owner.account(), owner, session, acr, amr, says, auth_time, issued, expires, bound })
    }

    fn says(&self, claims: &Map<String, Value>) -> SmallVec<[u64; 8]> {
        let mut says = SmallVec::new();
        for (name, value) in claims {
            let mut say = |value: &str| {
                if says.len() < SAYS {
                    says.push(said(&self.names, name, value));
                }
            };
            match value {
                Value::String(text) => say(text),
                Value::Bool(truth) => say(if *truth { "true" } else { "false" }),
                Value::Number(number) => say(&number.to_string()),
                Value::Array(many) => many.iter().filter_map(Value::as_str).for_each(say),
                Value::Null | Value::Object(_) => {}
            }
        }
        says
    }

    /// Whether the issuer cannot be reached: who has no valid token gets none.
    pub fn is_issuer_away(&self, now: Moment) -> bool {
        self.keys.is_failing() || self.keys.usable(now).is_err()
    }

    /// Whether a verified token has a claim that says this.
    pub fn has(&self, claims: &Claims, name: &str, value: &str) -> bool {
        claims.says.contains(&said(&self.names, name, value))
    }
}

fn said(names: &Names, name: &str, value: &str) -> u64 {
    names.key(&[b"claim", name.as_bytes(), b"=", value.as_bytes()])
}

enum Doubt {
    Flaw(&'static str),
    NoSuchKey,
}

/// RFC 9068 access tokens and plain JWTs; not a security event, a logout token or a DPoP proof of the same issuer.
fn is_access_token(kind: &str) -> bool {
    matches!(kind, "jwt" | "at+jwt")
}

/// A NumericDate (RFC 7519, section 2), fractions dropped.
pub(super) fn moment(claim: Option<&Value>) -> Option<Moment> {
    let claim = claim?;
    let seconds = claim.as_u64().or_else(|| {
        // `as` saturates: a date beyond all time is the end of time.
        claim.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u64)
    })?;
    Some(Moment::from_unix_seconds(seconds))
}

fn name(claim: &Value) -> Option<String> {
    let name = match claim {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_u64()?.to_string(),
        _ => return None,
    };
    (!name.trim().is_empty() && name.len() <= 1024).then_some(name)
}

/// How a token is brought.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    Dpop,
}

/// The token of these headers, if there is one, and how it is brought.
fn bearer(headers: &HeaderMap) -> Result<Option<(&str, Scheme)>, &'static str> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err("there are two Authorization fields");
    }
    let bytes = field.as_bytes().trim_ascii();
    let (name, rest) =
        bytes.split_at(bytes.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(bytes.len()));
    let scheme = match name {
        name if name.eq_ignore_ascii_case(b"bearer") => Scheme::Bearer,
        name if name.eq_ignore_ascii_case(b"dpop") => Scheme::Dpop,
        _ => return Ok(None),
    };
    let token = rest.trim_ascii();
    if token.is_empty() || token.len() > LONGEST {
        return Err("not a JWT");
    }
    str::from_utf8(token).map(|token| Some((token, scheme))).map_err(|_| "not a JWT")
}
