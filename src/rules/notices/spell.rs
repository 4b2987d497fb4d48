//! How numbers, spans, moments and opening hours are said in a language.

use super::{Language, Phrase, fill};
use crate::clock::Moment;

/// The days as opening hours are written in rules.
const WRITTEN: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

impl Language {
    /// "20 seconds", "3 minutes", "2 hours": rounded up, so that who waits so long has waited long enough.
    pub fn span(&self, seconds: u64) -> String {
        match seconds {
            0..=90 => self.count(seconds.max(1), Phrase::Second, Phrase::Seconds),
            91..=5400 => self.count(seconds.div_ceil(60), Phrase::Minute, Phrase::Minutes),
            _ => self.count(seconds.div_ceil(3600), Phrase::Hour, Phrase::Hours),
        }
    }

    /// The same rounded down, so that what holds for so long holds.
    pub fn span_at_least(&self, seconds: u64) -> String {
        match seconds {
            0..=119 => self.count(seconds.max(1), Phrase::Second, Phrase::Seconds),
            120..=7199 => self.count(seconds / 60, Phrase::Minute, Phrase::Minutes),
            _ => self.count(seconds / 3600, Phrase::Hour, Phrase::Hours),
        }
    }

    fn count(&self, n: u64, one: Phrase, many: Phrase) -> String {
        let number = n.to_string();
        let phrase = self.phrase(if n == 1 { one } else { many });
        fill(phrase, |place| (place == "n").then_some(&*number)).into_owned()
    }

    /// "10 MB", "64 KB", "900 bytes".
    pub fn size(&self, bytes: u64) -> String {
        match bytes {
            0..=1023 => format!("{bytes} B"),
            1024..=1_048_575 => format!("{} KB", bytes >> 10),
            _ => format!("{} MB", bytes >> 20),
        }
    }

    /// "Monday 23 November, 08:00 (London time)": a moment on the clock of these opening hours, else in UTC.
    pub fn moment(&self, moment: Moment, hours: Option<&str>) -> String {
        let seconds = i64::try_from(moment.unix_seconds()).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
        let zone = hours.and_then(zone).unwrap_or("UTC");
        let (there, zone) = match time.in_tz(zone) {
            Ok(there) => (there, zone),
            Err(_) => (time.to_zoned(jiff::tz::TimeZone::UTC), "UTC"),
        };
        let weekday = usize::from(there.weekday().to_monday_zero_offset().unsigned_abs());
        let month = usize::from(there.month().unsigned_abs()).saturating_sub(1);
        let (day, clock) = (there.day().to_string(), there.strftime("%H:%M").to_string());
        let said = fill(self.phrase(Phrase::Moment), |place| match place {
            "weekday" => self.days.get(weekday).map(|day| &**day),
            "day" => Some(&day),
            "month" => self.months.get(month).map(|month| &**month),
            "time" => Some(&clock),
            _ => None,
        });
        format!("{said} ({})", self.zone(zone))
    }

    /// Opening hours as people write them: "every day 08:00-20:00 (London time)".
    pub fn hours(&self, written: &str) -> String {
        let zone = zone(written);
        let spans = zone.map_or(written, |zone| written[..written.len() - zone.len()].trim_end());
        if spans == "24/7" {
            return self.phrase(Phrase::AllHours).to_owned();
        }
        let parts: Vec<String> = spans.split(';').map(|part| self.days_and_times(part.trim())).collect();
        let said = parts.join("; ");
        match zone {
            Some(zone) => format!("{said} ({})", self.zone(zone)),
            None => said,
        }
    }

    /// "Monday to Friday 08:00-12:00,13:00-17:00".
    fn days_and_times(&self, part: &str) -> String {
        let Some((days, times)) = part.split_once(' ') else { return part.to_owned() };
        let name = |day: &str| {
            let at = WRITTEN.iter().position(|written| *written == day);
            at.and_then(|at| self.days.get(at)).map_or(day.to_owned(), |day| day.to_string())
        };
        let range = |range: &str| match range.split_once('-') {
            Some(("Mo", "Su")) => self.phrase(Phrase::EveryDay).to_owned(),
            Some((from, to)) => format!("{} {} {}", name(from), self.phrase(Phrase::DayTo), name(to)),
            None => name(range),
        };
        let days: Vec<String> = days.split(',').map(range).collect();
        let mut times = times.trim().replace(',', ", ");
        if self.direction() == "rtl" {
            // The first of two times stays the first: digits would take the direction of the letters before them.
            times = times.split(", ").map(|range| format!("\u{2066}{range}\u{2069}")).collect::<Vec<_>>().join(", ");
        }
        let times = fill(self.phrase(Phrase::Times), |place| (place == "times").then_some(&*times));
        format!("{} {times}", days.join(", "))
    }

    /// "Europe/London" as "London time".
    fn zone(&self, zone: &str) -> String {
        match zone.rsplit_once('/') {
            Some((_, city)) => {
                let city = city.replace('_', " ");
                fill(self.phrase(Phrase::Zone), |place| (place == "city").then_some(&*city)).into_owned()
            }
            None => zone.to_owned(),
        }
    }
}

/// The time zone at the end of written hours.
fn zone(hours: &str) -> Option<&str> {
    hours.rsplit(' ').next().filter(|last| last.contains('/') && *last != "24/7" || *last == "UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(tag: &str) -> Language {
        Language::built_in(tag).unwrap()
    }

    #[test]
    fn hours_are_said_in_words_and_on_the_clock_of_the_help() {
        let (english, german) = (language("en"), language("de"));
        assert_eq!(english.hours("Mo-Su 08:00-20:00 Europe/London"), "every day 08:00-20:00 (London time)");
        assert_eq!(german.hours("Mo-Su 08:00-20:00 Europe/Berlin"), "täglich 08:00-20:00 Uhr (Ortszeit Berlin)");
        assert_eq!(english.hours("Mo-Fr 09:00-17:00 UTC"), "Monday to Friday 09:00-17:00 (UTC)");
        assert_eq!(english.hours("24/7"), "at all hours");
        assert_eq!(
            english.hours("Mo-Fr 08:00-20:00; Sa,Su 09:00-13:00,14:00-18:00 America/New_York"),
            "Monday to Friday 08:00-20:00; Saturday, Sunday 09:00-13:00, 14:00-18:00 (New York time)"
        );
        let mut arabic = language("en");
        arabic.tag = "ar".into();
        assert_eq!(
            arabic.hours("Sa 09:00-13:00,14:00-18:00 Asia/Dubai"),
            "Saturday \u{2066}09:00-13:00\u{2069}, \u{2066}14:00-18:00\u{2069} (Dubai time)"
        );
        let summer = Moment::from_unix_seconds(1_783_321_200);
        let hours = Some("Mo-Su 08:00-20:00 Europe/London");
        assert_eq!(english.moment(summer, hours), "Monday 6 July, 08:00 (London time)");
        assert_eq!(german.moment(summer, hours), "Montag, 6. Juli, 08:00 Uhr (Ortszeit London)");
        assert_eq!(german.moment(summer, None), "Montag, 6. Juli, 07:00 Uhr (UTC)");
        assert_eq!(english.moment(summer, Some("24/7")), "Monday 6 July, 07:00 (UTC)");
    }

    #[test]
    fn a_time_to_come_back_is_never_shorter_than_promised_and_a_promise_never_longer() {
        let english = language("en");
        let said = [1, 90, 91, 5401].map(|seconds| english.span(seconds));
        assert_eq!(said, ["1 second", "90 seconds", "2 minutes", "2 hours"]);
        let said = [86_400, 86_399, 7_199, 61, 0].map(|seconds| english.span_at_least(seconds));
        assert_eq!(said, ["24 hours", "23 hours", "119 minutes", "61 seconds", "1 second"]);
        assert_eq!(language("de").span(1), "1 Sekunde");
        assert_eq!([900, 65_536, 10_485_760].map(|bytes| english.size(bytes)), ["900 B", "64 KB", "10 MB"]);
    }
}
