//! From tables to law: names become indices, and everything that must never happen is refused, with every problem kept.
//!
//! Where a value could not be read it was reported, and something harmless stands in for it, so that the other checks still run; a
//! law with such a stand-in is never handed out. A broken file is no reason to call names unknown that it may define.

mod actions;
mod breach;
mod budgets;
mod calibration;
mod cases;
mod channels;
mod clients;
mod continuity_pass;
mod guards;
mod help;
mod identity;
mod journeys;
mod journeys_feed;
mod ladder;
mod limits;
mod lists;
mod names;
mod notices;
mod playbooks;
mod profiles;
mod refusals;
mod routes;
mod shared_signals;
mod signals;
mod sites;
mod snapshots;

use names::{Index, Levels, all, named, one};

use super::diagnostic::{Diagnostic, Report, codes};
use super::notices::{Language, Notices};
use super::ruleset::{HelpId, Level, RuleSet};
use super::source::Sources;
use super::syntax::Tables;
use super::syntax::files::HelpFile;

/// What the parts of a law need to know of each other while it is made.
struct Lower<'f> {
    report: &'f mut Report,
    sources: &'f Sources,
    /// Some text could not be read as TOML, or not at all: what seems to be missing may be there.
    broken: bool,
    upstreams: Index<'f>,
    journeys: Index<'f>,
    playbooks: Index<'f>,
    help: Index<'f>,
    help_files: Vec<Option<&'f HelpFile>>,
    levels: Levels,
    means: Means,
    /// The spoken languages, the default first.
    languages: Vec<Language>,
    /// Every spoken language could be read.
    names_known: bool,
}

/// What a rung can lean on.
#[derive(Debug, Clone, Copy, Default)]
struct Means {
    /// A customer can give one more proof, and it is remembered.
    proof: bool,
    /// The level of `[step_up]`.
    level: Option<Level>,
    /// Some help can be reached without a voice call.
    text: bool,
    /// No rule says where the subject of a request comes from.
    nobody: bool,
}

/// Makes the law, as far as it goes. The caller drops it when there were errors.
pub(super) fn lower(tables: &Tables, sources: &Sources, report: &mut Report) -> Option<RuleSet> {
    let (files, broken) = (&tables.rules[..], tables.broken);
    let upstream_files = named(files, |file| file.upstreams.given());
    let help_files = named(files, |file| file.help.given());
    let journey_files = named(files, |file| file.journeys.given());
    let upstreams = Index::new("upstream", &upstream_files, report);
    let help = Index::new("help", &help_files, report);
    let journeys = Index::new("journey", &journey_files, report);
    let playbook_files: Vec<_> = tables.playbooks.iter().map(|(name, file)| (name, Some(file))).collect();
    let playbooks = Index::new("playbook", &playbook_files, report);
    if upstreams.is_too_long() || help.is_too_long() || journeys.is_too_long() {
        return None;
    }
    let limit_files = named(files, |file| file.limits.given());
    let assurance = one("[assurance]", files, |file| file.assurance.given(), |table| table.span, report);
    let identity = one("[identity]", files, |file| file.identity.given(), |table| table.span, report);
    let channels = one("[channels]", files, |file| file.channels.given(), |table| table.span, report);
    let breach = one("[breach]", files, |file| file.breach.given(), |table| table.span, report);
    let guards = one("[guards]", files, |file| file.guards.given(), |table| table.span, report);
    let journeys_feed = one("[journeys_feed]", files, |file| file.journeys_feed.given(), |table| table.span, report);
    let continuity_pass =
        one("[continuity_pass]", files, |file| file.continuity_pass.given(), |table| table.span, report);
    let banner = one("[banner]", files, |file| file.banner.given(), |table| table.span, report);
    let step_up = one("[step_up]", files, |file| file.step_up.given(), |table| table.span, report);

    let lists = one("[lists]", files, |file| file.lists.given(), |table| table.span, report);

    let helps = help_files;
    let help_files: Vec<_> = helps.iter().map(|(_, file)| *file).collect();
    let levels = Levels::new(assurance, report);
    let languages = one("[languages]", files, |file| file.languages.given(), |table| table.span, report);
    let profile_files = named(files, |file| file.profiles.given());
    Index::new("profile", &profile_files, report);
    let means = Means::default();
    let mut lower = Lower {
        report,
        sources,
        broken,
        upstreams,
        journeys,
        playbooks,
        help,
        help_files,
        levels,
        means,
        languages: Vec::new(),
        names_known: false,
    };

    lower.languages(languages, &notices::worded(files));

    let nobody = identity.is_none_or(|identity| identity.subject.is_absent());
    let (step_up, mut marked) = lower.step_up(step_up);
    let clients = lower.clients(identity, &all(files, |file| &file.key), channels);
    let (identity, ends) = lower.identity(identity);
    marked.extend(ends);
    lower.means.nobody = nobody;
    lower.means = lower.means_of(step_up.as_ref(), &identity);
    let help = lower.all_help();
    let sites = lower.sites(all(files, |file| &file.site));
    let mut journeys = lower.journeys(&journey_files);
    lower.calibrations(&named(files, |file| file.calibration.given()), journeys.as_mut());
    let playbooks = lower.playbooks(&tables.playbooks, journeys.as_deref());
    lower.claimed_channels(&clients, &tables.playbooks, playbooks.as_deref());
    let upstreams = lower.upstreams(&upstream_files);
    let routes = lower.routes(&journey_files, &marked);
    let limits = lower.limits(&limit_files, &journey_files, &identity);
    let breach = lower.breach(breach, &journey_files);
    let guards = lower.guards(guards);
    let weights = lower.weights(&named(files, |file| file.signals.given()));
    let transmitters = named(files, |file| file.shared_signals.given());
    let transmitters = lower.shared_signals(&transmitters, routes.as_ref());
    let lists = lower.lists(lists);
    let journeys_feed = lower.journeys_feed(journeys_feed, &journey_files);
    let banner = lower.banner(banner, &help);
    let continuity_pass = lower.continuity_pass(continuity_pass, &lists);
    let (refusals, screen) = lower.refusals(all(files, |file| &file.refuse));
    let (profiles, templates) = lower.profiles(&profile_files);
    let cases = lower.cases(tables);
    lower.first_help_is_for_everybody(&helps);

    Some(RuleSet {
        fingerprint: sources.fingerprint(),
        sites,
        upstreams: upstreams?,
        identity,
        clients,
        levels: lower.levels.into_laws(),
        step_up,
        help,
        journeys: journeys?,
        routes: routes?,
        refusals,
        limits,
        breach,
        guards: guards?,
        lists,
        playbooks: playbooks?,
        cases,
        notices: Notices::speaking(lower.languages, templates)?,
        profiles,
        weights,
        transmitters,
        journeys_feed: journeys_feed?,
        banner: banner?,
        continuity_pass: continuity_pass?,
        screen: screen?,
    })
}

impl Lower<'_> {
    fn error(&mut self, problem: Diagnostic) {
        self.report.push(problem);
    }

    /// Whether this help can be reached without a voice call; what could not be read is given the benefit of the doubt.
    fn has_text(&self, help: HelpId) -> bool {
        match self.help_files.get(help.index()) {
            Some(Some(file)) => match &file.text {
                super::syntax::table::Field::Given(text) => !(text.relay.is_absent() && text.chat.is_absent()),
                super::syntax::table::Field::Broken => true,
                super::syntax::table::Field::Absent => false,
            },
            Some(None) | None => true,
        }
    }

    /// Reports more than a list may hold.
    fn within(&mut self, many: usize, most: usize, what: &str) -> bool {
        if many > most {
            let said = format!("there are {many} {what}; at most {most} are allowed");
            self.error(Diagnostic::of(&codes::TOO_MUCH, said).help("join or remove some"));
        }
        many <= most
    }
}
