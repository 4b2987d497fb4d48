//! When people can be reached: opening hours in a subset of the OpenStreetMap notation, with a time zone.
//!
//! `Mo-Fr 08:00-20:00; Sa 09:00-13:00,14:00-18:00 Europe/London`, `24/7`, and ranges over midnight. Public holidays are not known.
//! It asks no clock: the moment is an argument.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _, Zoned, civil};

use crate::clock::Moment;

/// When something is open.
#[derive(Debug, Clone)]
pub struct Hours {
    /// Monday first; minutes since midnight, the end after the start. An end above 1440 lies on the next day.
    days: [Vec<(u16, u16)>; 7],
    zone: TimeZone,
    written: Box<str>,
}

const DAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const MINUTES: u16 = 24 * 60;
/// Ranges of one day.
const RANGES: usize = 8;

impl Hours {
    /// Reads opening hours, or says in one sentence what cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        if trimmed == "24/7" {
            let all = [const { Vec::new() }; 7].map(|_: Vec<(u16, u16)>| vec![(0, MINUTES)]);
            return Ok(Self { days: all, zone: TimeZone::UTC, written: trimmed.into() });
        }
        let Some((hours, zone)) = trimmed.rsplit_once(' ').filter(|(_, zone)| zone.contains('/') || *zone == "UTC")
        else {
            return Err("the hours end without a time zone such as Europe/London or UTC".to_owned());
        };
        let zone = match zone {
            "UTC" => TimeZone::UTC,
            name => TimeZoneDatabase::bundled()
                .get(name)
                .map_err(|_| format!("`{}` is not a time zone", name.escape_debug()))?,
        };
        let mut days: [Vec<(u16, u16)>; 7] = Default::default();
        for part in hours.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((named, ranges)) = part.split_once(' ') else {
                return Err(format!("`{}` is not days and times such as Mo-Fr 08:00-20:00", part.escape_debug()));
            };
            let ranges = ranges.split(',').map(|range| parse_range(range.trim())).collect::<Result<Vec<_>, _>>()?;
            for day in parse_days(named)? {
                if days[day].len() + ranges.len() > RANGES {
                    return Err(format!("{} has more than {RANGES} ranges", DAYS[day]));
                }
                days[day].extend(&ranges);
            }
        }
        if days.iter().all(Vec::is_empty) {
            return Err("no day has any hours".to_owned());
        }
        days.iter_mut().for_each(|ranges| ranges.sort_unstable());
        Ok(Self { days, zone, written: trimmed.into() })
    }

    /// As written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The IANA name of the zone that they are written in; none for those that are always open.
    pub fn zone_name(&self) -> Option<&str> {
        self.written.rsplit_once(' ').map(|(_, zone)| zone)
    }

    /// Whether it is open at this moment.
    pub fn open_at(&self, moment: Moment) -> bool {
        let Some(local) = self.local(moment) else { return false };
        let today = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        let minute = minute_of(&local);
        let inside = |day: usize, minute: u16| self.days[day].iter().any(|(from, to)| (*from..*to).contains(&minute));
        inside(today, minute) || inside((today + 6) % 7, minute + MINUTES)
    }

    /// The first moment from now on at which it is open; now itself when it is. `None` when that lies beyond the calendar.
    pub fn opens_next(&self, moment: Moment) -> Option<Moment> {
        if self.open_at(moment) {
            return Some(moment);
        }
        let local = self.local(moment)?;
        for ahead in 0..=8i64 {
            let date = local.date().checked_add(ahead.days()).ok()?;
            let day = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
            for (from, _) in &self.days[day] {
                // A time that the clocks skip is read as the moment after the gap.
                let at = self.zone.to_zoned(date.to_datetime(time_of(*from)?)).ok()?;
                let found = Moment::from_unix_millis(u64::try_from(at.timestamp().as_millisecond()).ok()?);
                if found > moment && self.open_at(found) {
                    return Some(found);
                }
            }
        }
        None
    }

    fn local(&self, moment: Moment) -> Option<Zoned> {
        let millis = i64::try_from(moment.unix_millis()).ok()?;
        Some(Timestamp::from_millisecond(millis).ok()?.to_zoned(self.zone.clone()))
    }
}

fn minute_of(local: &Zoned) -> u16 {
    u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs())
}

fn time_of(minute: u16) -> Option<civil::Time> {
    civil::Time::new(i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?, 0, 0).ok()
}

fn parse_days(text: &str) -> Result<Vec<usize>, String> {
    let day = |name: &str| {
        DAYS.iter().position(|day| *day == name).ok_or_else(|| {
            format!(
                "`{}` is not a day: Mo, Tu, We, Th, Fr, Sa, Su",
                name.chars().take(20).collect::<String>().escape_debug()
            )
        })
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            Some((from, to)) => {
                let (from, to) = (day(from)?, day(to)?);
                let many = (to + 7 - from) % 7 + 1;
                days.extend((0..many).map(|ahead| (from + ahead) % 7));
            }
            None => days.push(day(part)?),
        }
    }
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

fn parse_range(text: &str) -> Result<(u16, u16), String> {
    let wrong = || {
        format!(
            "`{}` is not a range of times such as 08:00-20:00",
            text.chars().take(20).collect::<String>().escape_debug()
        )
    };
    let time = |text: &str| {
        let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
        let number = |digits: &str| match digits.as_bytes() {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some(u16::from(tens - b'0') * 10 + u16::from(ones - b'0')),
            _ => None,
        };
        match (number(hour), number(minute)) {
            (Some(hour), Some(minute)) if hour < 24 && minute < 60 || (hour, minute) == (24, 0) => {
                Ok(hour * 60 + minute)
            }
            _ => Err(wrong()),
        }
    };
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (time(from)?, time(to)?);
    if from == MINUTES || from == to {
        return Err(wrong());
    }
    Ok((from, if to > from { to } else { to + MINUTES }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        let at: Timestamp = text.parse().unwrap();
        Moment::from_unix_millis(u64::try_from(at.as_millisecond()).unwrap())
    }

    #[test]
    fn hours_follow_the_zone_and_its_summer_time() {
        let hours = Hours::parse("Mo-Su 08:00-20:00 Europe/London").unwrap();
        assert!(!hours.open_at(moment("2026-01-15T07:59:59Z")));
        assert!(hours.open_at(moment("2026-01-15T08:00:00Z")));
        assert!(hours.open_at(moment("2026-07-15T07:00:00Z")));
        assert!(!hours.open_at(moment("2026-07-15T19:00:00Z")));
        assert_eq!(hours.opens_next(moment("2026-07-15T19:00:00Z")), Some(moment("2026-07-16T07:00:00Z")));
        let open = moment("2026-07-15T12:00:00Z");
        assert_eq!(hours.opens_next(open), Some(open));
    }

    #[test]
    fn a_range_may_run_over_midnight_and_over_the_week() {
        let hours = Hours::parse("Su 22:00-02:00; Mo 09:00-10:00 UTC").unwrap();
        assert!(hours.open_at(moment("2026-03-01T23:00:00Z")));
        assert!(hours.open_at(moment("2026-03-02T01:59:00Z")));
        assert!(!hours.open_at(moment("2026-03-02T02:00:00Z")));
        assert_eq!(hours.opens_next(moment("2026-03-02T02:00:00Z")), Some(moment("2026-03-02T09:00:00Z")));
        assert_eq!(hours.opens_next(moment("2026-03-02T10:00:00Z")), Some(moment("2026-03-08T22:00:00Z")));
    }

    #[test]
    fn days_may_be_listed_and_wrap() {
        let hours = Hours::parse("Sa-Mo,We 10:00-12:00,13:00-24:00 UTC").unwrap();
        assert!(hours.open_at(moment("2026-03-01T23:59:00Z")));
        assert!(!hours.open_at(moment("2026-03-01T12:30:00Z")));
        assert!(!hours.open_at(moment("2026-03-03T11:00:00Z")));
        assert!(hours.open_at(moment("2026-03-04T11:00:00Z")));
        assert!(Hours::parse("24/7").unwrap().open_at(moment("2026-03-03T11:00:00Z")));
    }

    #[test]
    fn an_opening_that_the_clocks_skip_is_still_found() {
        let hours = Hours::parse("Su 01:30-03:00 Europe/London").unwrap();
        let next = hours.opens_next(moment("2026-03-28T12:00:00Z")).unwrap();
        assert!(hours.open_at(next));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for bad in [
            "",
            "Mo-Fr 08:00-20:00",
            "Mo-Fr Europe/London",
            "Mo 8:00-20:00 UTC",
            "Mo 08:00-25:00 UTC",
            "Xx 08:00-09:00 UTC",
            "Mo 08:00-08:00 UTC",
            "Mo 08:00-09:00 Europe/Lyonesse",
            "Mo 24:00-02:00 UTC",
            "; UTC",
            "Mo é8:00-09:00 UTC",
        ] {
            assert!(Hours::parse(bad).is_err(), "{bad}");
        }
    }
}
