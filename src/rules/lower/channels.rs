//! A playbook for some channels only, and clients that may say themselves where they come from: whoever can claim a channel that a
//! playbook leaves out has a way round it. It must never stop such a playbook: it is said, and a person decides.

use super::Lower;
use crate::rules::client::{Channel, Channels, Class};
use crate::rules::clients::Clients;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::playbook::Playbook;
use crate::rules::syntax::playbooks::PlaybookFile;
use crate::rules::syntax::table::{Field, Said};

impl Lower<'_> {
    /// Warns of playbooks that a client leaves by a claim.
    pub(super) fn claimed_channels(
        &mut self,
        clients: &Clients,
        files: &[(Said<Box<str>>, PlaybookFile)],
        playbooks: Option<&[Playbook]>,
    ) {
        for ((_, file), playbook) in files.iter().zip(playbooks.unwrap_or_default()) {
            let Field::Given(words) = &file.channels else { continue };
            let (Some(first), Some(way)) = (words.all.first(), way_out(clients, playbook.channels)) else { continue };
            let name = &playbook.name;
            let problem = Diagnostic::of(
                &codes::CLAIMED_CHANNEL,
                format!("{name} leaves out {}, and a client can say that it comes from there", way.word()),
            );
            self.error(problem.at(first.span, "only these channels").help(
                "leave out `channels`, or tell that channel in [channels] by a `class` that is proved or by an `address`",
            ));
        }
    }
}

/// The channel by which a client gets out of these, if it can say so itself. Whoever claims nothing is on the web.
fn way_out(clients: &Clients, held: Channels) -> Option<Channel> {
    let claimed = |channel: Channel| {
        clients.channels.iter().any(|law| {
            let proved = law.class.is_some_and(|class| class != Class::Customer)
                || law.when.as_ref().is_some_and(|when| when.needs_address());
            law.channel == channel && !proved
        })
    };
    Channel::ALL.into_iter().filter(|channel| !held.contain(*channel)).find(|channel| match channel {
        Channel::Web => held.iter().any(claimed),
        Channel::App | Channel::Store | Channel::Desk => claimed(*channel),
    })
}
