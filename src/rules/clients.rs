//! Which class a client is of, and which channel it comes through: what proves the one, and what tells the other.
//!
//! A class is a fact for rules and playbooks and passes no request by itself. The law only says what would prove it; whoever asks
//! brings what the transport, a verified token or a key have shown.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;

use super::client::{Channel, Class};
use super::condition::Condition;
use super::facts::Facts;

/// What proves classes and tells channels.
#[derive(Debug, Default)]
pub struct Clients {
    /// In the order in which they are asked: partner, agent, automation; in each as written. The first that holds decides, so that
    /// a known machine which also carries a key for bots stays the known machine that the business needs.
    pub proofs: Vec<(Class, ClassProof)>,
    /// In the order in which they are asked: app, store, desk. A client of none is on the web.
    pub channels: Vec<ChannelLaw>,
}

/// One proof of a class.
#[derive(Debug, Clone)]
pub enum ClassProof {
    /// A verified client certificate whose subject, and issuer, have all of these attributes.
    Certificate {
        /// Of the subject; never empty.
        subject: Attributes,
        /// Of the issuer.
        issuer: Attributes,
    },
    /// A key that is known by its digest.
    Key {
        /// The field that carries it.
        header: HeaderName,
        /// Names by SHA-256.
        keys: Arc<HashMap<[u8; 32], Box<str>>>,
    },
    /// A claim of a verified token.
    Claim {
        /// Its name.
        name: Box<str>,
        /// What it says; one of several values is enough.
        equals: Box<str>,
    },
}

/// Attributes of a distinguished name: type, as in `CN`, and value.
pub type Attributes = Vec<(Box<str>, Box<str>)>;

/// What tells a channel. All that is given must hold.
#[derive(Debug)]
pub struct ChannelLaw {
    /// Which.
    pub channel: Channel,
    /// The client is of this class.
    pub class: Option<Class>,
    /// This holds.
    pub when: Option<Condition>,
}

impl Clients {
    /// The class of a client of whom `holds` says which proofs it has shown.
    pub fn class(&self, mut holds: impl FnMut(&ClassProof) -> bool) -> Class {
        self.proofs.iter().find(|(_, proof)| holds(proof)).map_or(Class::Customer, |(class, _)| *class)
    }

    /// The channel of a client of this class with these facts.
    pub fn channel<'f>(&self, class: Class, facts: impl FnOnce() -> Facts<'f>) -> Channel {
        if self.channels.is_empty() {
            return Channel::Web;
        }
        let facts = facts();
        let told = self.channels.iter().find(|law| {
            law.class.is_none_or(|named| named == class) && law.when.as_ref().is_none_or(|when| when.holds(&facts))
        });
        told.map_or(Channel::Web, |law| law.channel)
    }
}

/// Whether a name has all of these attributes, each exactly.
pub fn has_all(attributes: &Attributes, name: &Attributes) -> bool {
    attributes
        .iter()
        .all(|(kind, value)| name.iter().any(|(known, said)| known.eq_ignore_ascii_case(kind) && said == value))
}
