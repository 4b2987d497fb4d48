//! The worst day: sign-in and the application are gone, everybody's sessions with them. How many of those who came in the last thirty
//! days see what is theirs an hour, a day and a week later, with the shipped rules; and what thieves see who copied their cookies.
//!
//! Customers are those of the scorer's stream: most have a second device, some browsers forget everything or after a week, addresses
//! change, browsers are updated. The clock is a test's; nothing waits.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use weir::control::law::Outcome;

use crate::support::NOON;
use crate::support::mmdb::providers;
use crate::support::upstream::{Seen, Upstream};
use crate::support::visitors::{Dice, Street, Visitor};

const DAY: u64 = 86_400_000;
const HOUR: u64 = 3_600_000;
const CUSTOMERS: usize = 250;

/// What becomes of cookies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cookies {
    Kept,
    Forgotten,
    ForAWeek,
}

struct Device {
    phone: bool,
    cookies: Cookies,
    browser: usize,
    jar: Vec<(String, String)>,
    since: u64,
}

struct Customer {
    /// Days between two visits.
    gap: u64,
    home: u64,
    devices: Vec<Device>,
    seen: Option<u64>,
}

/// A shop that knows its customers by their sessions.
fn shop() -> Upstream {
    let sessions: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    Upstream::answering(move |seen: &Seen| {
        let text = std::str::from_utf8(&seen.body).unwrap_or_default();
        let field = |name: &str| text.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default();
        let mut answer = Response::new(Full::new(Bytes::new()));
        let headers = answer.headers_mut();
        headers.insert("cache-control", "no-store".parse().unwrap());
        headers.insert("content-type", "text/html; charset=utf-8".parse().unwrap());
        let mut sessions = sessions.lock().unwrap();
        match (seen.method.as_str(), seen.uri.path()) {
            ("POST", "/login") => {
                let sid = format!("s-{}", seen.header("weir-request-id"));
                headers.insert("set-cookie", format!("sid={sid}; Path=/; HttpOnly").parse().unwrap());
                headers.insert("location", "/account/balance".parse().unwrap());
                *answer.status_mut() = StatusCode::SEE_OTHER;
                sessions.insert(sid, field("email=").to_owned());
            }
            (_, "/account/balance") => {
                let cookies = seen.header("cookie");
                let sid = cookies.split("; ").find_map(|pair| pair.strip_prefix("sid=")).unwrap_or_default();
                match sessions.get(sid) {
                    Some(name) => *answer.body_mut() = Full::new(format!("<p>balance of {name}.</p>").into()),
                    None => *answer.status_mut() = StatusCode::UNAUTHORIZED,
                }
            }
            _ => *answer.body_mut() = Full::new("<p>welcome</p>".into()),
        }
        answer
    })
}

fn people(dice: &mut Dice) -> Vec<Customer> {
    let device = |dice: &mut Dice, phone: bool| {
        let app = phone && dice.roll(4) == 0;
        let cookies = match dice.roll(100) {
            _ if app => Cookies::Kept,
            0..80 => Cookies::Kept,
            80..91 => Cookies::Forgotten,
            _ => Cookies::ForAWeek,
        };
        let browser = if phone { dice.roll(2) } else { 2 + dice.roll(2) } as usize;
        Device { phone, cookies, browser, jar: Vec::new(), since: 0 }
    };
    let one = |number: usize| {
        let gap = match dice.roll(100) {
            0..8 => 1,
            8..25 => 3,
            25..45 => 7,
            45..72 => 21,
            _ => 55,
        };
        let mut devices = vec![device(dice, true)];
        if dice.roll(100) < 60 {
            devices.push(device(dice, false));
        }
        Customer { gap, home: number as u64, devices, seen: None }
    };
    (0..CUSTOMERS).map(one).collect()
}

/// Eight providers of homes and four carriers of one country, and one that nobody is a customer of.
fn addresses(place: &Path) -> String {
    let homes: Vec<_> = (100..108).map(|first| (format!("{first}.0.0.0/11"), 64_600 + first)).collect();
    let carriers: Vec<_> = (64..68).map(|second| (format!("100.{second}.0.0/16"), 64_700 + second)).collect();
    let elsewhere = [("198.51.100.0/24".to_owned(), 64_900)];
    let all: Vec<_> = homes.iter().chain(&carriers).chain(&elsewhere).map(|(net, asn)| (net.as_str(), *asn)).collect();
    let built = u32::try_from(NOON.unix_seconds()).unwrap();
    std::fs::write(place.join("asn.mmdb"), providers(&all, built)).unwrap();
    format!("[lists]\nprovider = {{ file = \"{}\", stale_after = \"90d\" }}\n", place.join("asn.mmdb").display())
}

struct Town {
    street: Street,
    people: Vec<Customer>,
    dice: Dice,
}

impl Town {
    /// Where somebody is: at home, whose address changes now and then, or out with the phone behind a carrier's exits.
    fn place(&mut self, number: usize, phone: bool) -> String {
        let home = self.people[number].home;
        match phone && self.dice.roll(100) < 40 {
            true => format!("100.{}.{}.9", 64 + number % 4, 1 + self.dice.roll(40)),
            false => format!("10{}.{}.{}.7", home % 8, home / 250, 1 + home % 250),
        }
    }

    async fn ask(
        &mut self,
        what: (&str, &str),
        (number, at): (usize, usize),
        from: &str,
        form: &str,
    ) -> crate::support::client::Answer {
        let Device { browser, jar, .. } = &mut self.people[number].devices[at];
        let visitor = Visitor { from, browser: *browser, jar };
        self.street.ask(what, visitor, form).await
    }

    /// What a device has forgotten by now. Every session is over: applications let them go soon, and on the worst day all of them.
    fn age(&mut self, number: usize, at: usize) {
        let now = self.street.passed;
        let device = &mut self.people[number].devices[at];
        let forgets = match device.cookies {
            Cookies::Kept => false,
            Cookies::Forgotten => true,
            Cookies::ForAWeek => now - device.since > 7 * DAY,
        };
        if forgets {
            device.jar.clear();
        }
        if device.jar.is_empty() {
            device.since = now;
        }
        device.jar.retain(|(name, _)| name != "sid");
    }

    async fn visit(&mut self, number: usize) {
        let at = self.dice.roll(self.people[number].devices.len() as u64) as usize;
        let from = self.place(number, self.people[number].devices[at].phone);
        self.age(number, at);
        self.ask(("GET", "/login"), (number, at), &from, "").await;
        self.street.wait(6_000);
        let form = format!("email=c{number}@example.com&password=right");
        let answer = self.ask(("POST", "/login"), (number, at), &from, &form).await;
        if answer.header("location") == "/account/balance" {
            self.street.wait(1_000);
            self.ask(("GET", "/account/balance"), (number, at), &from, "").await;
        }
        self.people[number].seen = Some(self.street.passed);
    }

    /// Whether somebody who comes now sees what is theirs, on the device that they take, or else on another of theirs.
    async fn sees(&mut self, number: usize) -> bool {
        let all = self.people[number].devices.len();
        let first = self.dice.roll(all as u64) as usize;
        for at in (0..all).map(|more| (first + more) % all) {
            let from = self.place(number, self.people[number].devices[at].phone);
            self.age(number, at);
            let answer = self.ask(("GET", "/account/balance"), (number, at), &from, "").await;
            if answer.status == StatusCode::OK {
                assert!(
                    answer.text().contains(&format!("balance of c{number}@"))
                        || answer.text().contains(&format!("c{number}%40"))
                );
                assert_ne!(answer.header("weir-as-of"), "");
                return true;
            }
        }
        false
    }

    /// Whether a thief sees it who copied everything that the customer's device keeps, and comes from elsewhere.
    async fn robbed(&mut self, (number, at): (usize, usize), same_browser: bool) -> bool {
        let from = format!("198.51.100.{}", 1 + number % 250);
        let Device { browser, jar, .. } = &self.people[number].devices[at];
        let (browser, mut jar) = (browser + usize::from(!same_browser), jar.clone());
        jar.retain(|(name, _)| name != "sid");
        let visitor = Visitor { from: &from, browser, jar: &mut jar };
        self.street.ask(("GET", "/account/balance"), visitor, "").await.status == StatusCode::OK
    }
}

#[tokio::test]
async fn four_of_five_see_what_is_theirs_an_hour_a_day_and_a_week_after_everything_is_gone() {
    let mut dice = Dice(5);
    let people = people(&mut dice);
    let mut plan = Vec::new();
    for (number, customer) in people.iter().enumerate() {
        let mut day = dice.roll(customer.gap);
        while day < 45 {
            plan.push((day * DAY + (8 + dice.roll(14)) * HOUR + dice.roll(HOUR), number));
            day += 1 + dice.roll(2 * customer.gap);
        }
    }
    plan.sort_unstable();
    let lists = tempfile::tempdir().unwrap();
    let law = addresses(lists.path());
    // What guards and triggers find depends on how often they look, and here weeks pass in seconds.
    let files = [("lists.toml", law.as_str()), ("guards.toml", "[guards]\non = false\n")];
    let mut town = Town { street: Street::with(shop(), &files).await, people, dice };
    for (at, number) in plan {
        town.street.wait(at.saturating_sub(town.street.passed));
        if town.dice.roll(20) == 0 {
            // Another address of the same provider.
            town.people[number].home = number as u64 + 8 * (32 + town.dice.roll(200));
        }
        town.visit(number).await;
        // What waits for the disk has a bound, and here a month passes in seconds.
        town.street.rig.weir().snapshots.settle();
    }
    let gone = 45 * DAY;
    town.street.wait(gone.saturating_sub(town.street.passed));
    town.street.rig.weir().snapshots.settle();
    town.street.rig.upstream.go();
    let recent = |customer: &Customer| customer.seen.is_some_and(|seen| gone - seen <= 30 * DAY);
    let all: Vec<usize> = (0..CUSTOMERS).filter(|number| recent(&town.people[*number])).collect();
    for (when, after) in [("hour 1", HOUR), ("day 1", DAY), ("day 7", 7 * DAY)] {
        town.street.wait((gone + after).saturating_sub(town.street.passed));
        let mut seen = 0;
        for number in &all {
            seen += usize::from(town.sees(*number).await);
        }
        let share = 100 * seen / all.len();
        println!("{when}: {seen} of {} customers see what is theirs ({share} %)", all.len());
        assert!(share >= 80, "{when}: {seen} of {}", all.len());
    }
    let mut copies = Vec::new();
    for number in &all {
        for (at, device) in town.people[*number].devices.iter().enumerate() {
            if device.jar.iter().any(|(name, _)| name.ends_with("weir-pass")) {
                copies.push((*number, at));
            }
        }
    }
    let shipped = std::fs::read_to_string(town.street.rig.rules().join("journeys.toml")).unwrap();
    let law = shipped.replace("[continuity_pass]\n", "[continuity_pass]\nknown_providers_only = true\n");
    assert_ne!(law, shipped);
    for known_only in [false, true] {
        if known_only {
            let said = town.street.rig.save("journeys.toml", &law);
            assert!(matches!(said, Outcome::Installed { .. }), "{said:?}");
        }
        let (mut alike, mut other) = (0, 0);
        for copy in &copies {
            alike += usize::from(town.robbed(*copy, true).await);
            other += usize::from(town.robbed(*copy, false).await);
        }
        println!(
            "copied cookies, of {}: in another program {other}, in the same program at a strange provider {alike}",
            copies.len()
        );
        assert!(other == 0 && (alike == 0 || !known_only), "of {}", copies.len());
    }
    let mut seen = 0;
    for number in &all {
        seen += usize::from(town.sees(*number).await);
    }
    println!("where providers must be known: {seen} of {} ({} %)", all.len(), 100 * seen / all.len());
}
