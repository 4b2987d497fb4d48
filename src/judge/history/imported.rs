//! What another system knows of an account, taken over so that the first day is not blind.
//!
//! It counts as matured: a network and when its owner last came, and never a device, since no device of another system carries a
//! cookie of ours. Taking over the same twice changes nothing more.

use super::{AccountHistory, Familiar, IDLE_DAYS, day, least, second};
use crate::clock::Moment;
use crate::judge::seen::Software;
use crate::subject::Network;

/// What is known of one account and one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Where its owner came from.
    pub network: Option<Network>,
    /// With what, as far as it is known.
    pub software: Option<Software>,
    /// When the last time was.
    pub last: Moment,
    /// How often, at least once.
    pub visits: u16,
}

impl AccountHistory {
    /// Takes over what another system knows. What lies after `now` counts as now.
    pub fn import(&mut self, imported: &Imported, now: Moment) {
        let last = imported.last.min(now);
        self.touched = self.touched.max(second(last));
        self.last_success = self.last_success.max(second(last).max(1));
        let Some(network) = imported.network else { return };
        let (last_day, days) = (day(last), imported.visits.max(1));
        if let Some(slot) = self.networks.iter_mut().find(|slot| slot.days > 0 && slot.network == network.bits()) {
            slot.days = slot.days.max(days);
            slot.last_day = slot.last_day.max(last_day);
            return;
        }
        let today = day(now);
        let worth = |slot: &Familiar| match slot.days {
            0 => (false, 0, 0),
            days => (today.saturating_sub(slot.last_day) < IDLE_DAYS, days, slot.last_day),
        };
        let newcomer = Familiar { network: network.bits(), days, last_day };
        if let Some(slot) = least(&self.networks, worth).and_then(|at| self.networks.get_mut(at))
            && worth(slot) < worth(&newcomer)
        {
            *slot = newcomer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::signals::behaviour::Place;

    const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

    #[test]
    fn what_another_system_knows_counts_from_the_first_day_and_only_once() {
        let imported = |network: u64, days_ago: u64, visits| Imported {
            network: Some(Network::from_bits(network)),
            software: None,
            last: Moment::from_unix_seconds(1_800_000_000 - days_ago * 86_400),
            visits,
        };
        let mut history = AccountHistory::default();
        history.import(&imported(1, 3, 40), NOW);
        assert_eq!((history.place(Network::from_bits(1)), history.has_succeeded()), (Place::Known, true));
        assert!(!history.has_trusted_device());
        assert_eq!(history.idle(NOW).as_secs(), 3 * 86_400);
        let once = format!("{history:?}");
        history.import(&imported(1, 3, 40), NOW);
        assert_eq!(format!("{history:?}"), once);
        // A long file of short visits pushes out no network of many.
        for network in 2..100 {
            history.import(&imported(network, 2, 1), NOW);
        }
        assert_eq!(history.place(Network::from_bits(1)), Place::Known);
    }
}
