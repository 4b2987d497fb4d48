//! What kind of client asks, and through which channel. Only what was proved counts: a certificate of this very connection, a key, or
//! a claim of a token that was verified. Behind a proxy the transport's certificate is the proxy's own.

use http::{HeaderMap, HeaderName, request};

use super::Context;
use crate::identity::token::Claims;
use crate::listen::Peer;
use crate::rules::clients::{ClassProof, has_all};

/// Longer keys are none.
const LONGEST: usize = 512;

impl Context<'_> {
    /// Works out class and channel, where the rules say anything of them.
    pub(super) fn classify(&mut self, peer: &Peer, head: &request::Parts, claims: Option<&Claims>) {
        let clients = &self.prepared.rules().clients;
        if !clients.proofs.is_empty() {
            self.class = clients.class(|proof| self.shows(proof, peer, head, claims));
        }
        self.channel = clients.channel(self.class, || self.facts_of(head));
    }

    fn shows(&self, proof: &ClassProof, peer: &Peer, head: &request::Parts, claims: Option<&Claims>) -> bool {
        match proof {
            ClassProof::Certificate { subject, issuer } => {
                let shown = peer.client.as_ref().filter(|_| !self.client.proxied);
                shown.is_some_and(|shown| has_all(subject, &shown.subject) && has_all(issuer, &shown.issuer))
            }
            ClassProof::Key { header, keys } => {
                carried(&head.headers, header).is_some_and(|digest| keys.contains_key(&digest))
            }
            ClassProof::Claim { name, equals } => {
                let tokens = self.prepared.tokens();
                claims.zip(tokens).is_some_and(|(claims, tokens)| tokens.has(claims, name, equals))
            }
        }
    }
}

/// The digest of the one key in this field.
fn carried(headers: &HeaderMap, name: &HeaderName) -> Option<[u8; 32]> {
    let mut all = headers.get_all(name).iter();
    let key = all.next().filter(|_| all.next().is_none())?.as_bytes();
    if key.is_empty() || key.len() > LONGEST {
        return None;
    }
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key).as_ref().try_into().ok()
}
