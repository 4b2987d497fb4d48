//! What is remembered of a device beyond the accounts that trust it: 8 bytes. It vouches for nobody alone: only sign-ins of
//! accounts that are long known and have another device of their own count, and only as many as there are different ones.

use std::time::Duration;

use super::decay::day;
use crate::clock::Moment;
use crate::subject::{Account, Device};

const DAY: u64 = 86_400;

/// One device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeviceRecord {
    last_day: u16,
    /// A bit for every account that came in on it, by hash.
    accounts: u16,
    /// The same, for accounts that are long known.
    mature: u8,
    /// For how many days before the last accounts that are long known have used it; the most that fits stands for more.
    age: u8,
    tries: u8,
    worked: u8,
}

const _: () = assert!(size_of::<DeviceRecord>() <= 8);

/// How many different ones set so many of sixteen bits: `-16 ln(1 - bits / 16)`, rounded (linear counting, Whang et al. 1990).
const COUNTED: [u8; 17] = [0, 1, 2, 3, 5, 6, 8, 9, 11, 13, 16, 19, 22, 27, 33, 44, 64];

impl DeviceRecord {
    /// About how many accounts came in on it.
    pub fn accounts(&self) -> u8 {
        COUNTED.get(self.accounts.count_ones() as usize).copied().unwrap_or(64)
    }

    /// Whether others have used it well: two accounts or more that are long known, the first of them a week ago or more, and three
    /// sign-ins of four that worked. Accounts of its own that came before do not make it older: they are farmed for that.
    pub fn is_vouched_for(&self, now: Moment) -> bool {
        let known = u16::from(self.age) + day(now).saturating_sub(self.last_day);
        self.mature.count_ones() >= 2
            && known >= 7
            && self.worked >= 3
            && u16::from(self.worked) * 4 >= u16::from(self.tries) * 3
    }

    /// Whether anything ever worked on it.
    pub const fn has_worked(&self) -> bool {
        self.worked > 0
    }

    /// How long ago anybody signed in on it, to the day.
    pub fn idle(&self, now: Moment) -> Duration {
        Duration::from_secs(u64::from(day(now).saturating_sub(self.last_day)) * DAY)
    }

    /// Counts one sign-in. `mature`: the account is long known, and has another device.
    pub fn count(&mut self, device: Device, account: Account, worked: bool, mature: bool, now: Moment) {
        let today = day(now).max(1);
        let passed = if self.mature == 0 { 0 } else { today.saturating_sub(self.last_day) };
        self.age = self.age.saturating_add(u8::try_from(passed).unwrap_or(u8::MAX));
        self.last_day = self.last_day.max(today);
        if self.tries == u8::MAX {
            (self.tries, self.worked) = (self.tries / 2, self.worked / 2);
        }
        self.tries += 1;
        self.worked += u8::from(worked);
        if worked {
            let mixed = (account.bits() ^ device.bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.accounts |= 1 << (mixed >> 60);
            self.mature |= if mature { 1 << (mixed >> 57 & 7) } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

    fn after(days: u64) -> Moment {
        NOW.plus(Duration::from_secs(days * DAY))
    }

    #[test]
    fn accounts_that_are_new_or_have_no_other_device_vouch_for_nothing() {
        let device = Device::from_bits(7);
        let used = |mature: bool| {
            let mut record = DeviceRecord::default();
            for number in 0..20_u64 {
                record.count(device, Account::from_bits(number * 7919), true, mature, after(number / 4));
            }
            record
        };
        assert!(!used(false).is_vouched_for(after(9)));
        assert!(!used(true).is_vouched_for(after(6)) && used(true).is_vouched_for(after(9)));
        // Farmed on accounts of its own for weeks, then used on others': what is old of it is not what vouches.
        let mut farmed = used(false);
        for number in 0..8_u64 {
            farmed.count(device, Account::from_bits(number * 104_729), true, true, after(30));
        }
        assert!(!farmed.is_vouched_for(after(33)) && farmed.is_vouched_for(after(37)));
        assert!(used(true).accounts() > 8 && used(true).has_worked());
        let mut failing = used(true);
        for _ in 0..20 {
            failing.count(device, Account::from_bits(1), false, true, after(9));
        }
        assert!(!failing.is_vouched_for(after(9)));
        assert_eq!(failing.idle(after(11)), Duration::from_secs(2 * DAY));
    }
}
