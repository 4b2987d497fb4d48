//! Many customers behind a few shared exits (a carrier's, an office's), and somebody who guesses through the same exits for a
//! day. All of it goes through a real Weir with the shipped rules, in front of an application that knows every password.
//!
//! Customers have habits: most keep their cookies, some never do, some have just lost them, some are new; some mistype. What they
//! meet is counted by what they see, never by what Weir says of itself.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

use super::NOON;
use super::client::Answer;
use super::upstream::Upstream;
use super::visitors::{Dice, Street, Visitor};

const DAY: u64 = 86_400;
const HOUR: u64 = 3600;
/// Days of honest sign-ins before the day of the guesser.
const WEEKS: u64 = 28;

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Exits that are shared, all of them attacked.
    pub exits: usize,
    /// Customers behind each.
    pub customers: usize,
    /// How often each of them has signed in before.
    pub visits: u64,
    /// Wrong passwords through each exit, within nine hours.
    pub guesses: usize,
    /// Within one hour in the middle instead.
    pub loud: bool,
}

/// What became of the honest sign-ins of that day, and of the guesses.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Honest visits while it was guessed.
    pub honest: usize,
    /// Those that were slowed: told to wait, asked for one more proof, sent to a person, refused.
    pub slowed: usize,
    /// Visits on browsers with which the account had signed in for more than three days.
    pub own: usize,
    /// Those of them that were slowed.
    pub own_slowed: usize,
    /// Honest visits of the weeks before, and those of them that were slowed.
    pub before: usize,
    /// ... slowed.
    pub before_slowed: usize,
    /// What they met, by habit.
    pub met: BTreeMap<String, usize>,
    /// Honest visits of each habit.
    pub habits: BTreeMap<&'static str, usize>,
    /// What the guesses met.
    pub guesses: BTreeMap<String, usize>,
    /// The decision lines of visits that were slowed.
    pub lines: Vec<String>,
}

/// How a customer treats cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    Keeps,
    NeverKeeps,
    HasLostThem,
    IsNew,
}

impl Habit {
    const fn word(self) -> &'static str {
        match self {
            Self::Keeps => "keeps cookies",
            Self::NeverKeeps => "never keeps cookies",
            Self::HasLostThem => "has just lost them",
            Self::IsNew => "is new",
        }
    }
}

struct Customer {
    exit: usize,
    habit: Habit,
    browser: usize,
    jar: Vec<(String, String)>,
    /// The first second in which it had signed in with what is in the jar.
    since: Option<u64>,
}

enum Step {
    Visit { customer: usize, home: bool },
    Guess { exit: usize, at: String, browser: usize },
}

fn exit(number: usize) -> String {
    format!("198.18.{}.7", number)
}

fn home(customer: usize) -> String {
    format!("100.{}.{}.9", 64 + customer / 250, 1 + customer % 250)
}

/// An application that knows the password of every customer.
fn application() -> Upstream {
    Upstream::answering(|seen| {
        let body = std::str::from_utf8(&seen.body).unwrap_or("");
        let mut answer = Response::new(Full::new(Bytes::from_static(b"<p>here you are</p>")));
        answer.headers_mut().insert("content-type", "text/html".parse().unwrap());
        if (seen.method.as_str(), seen.uri.path()) == ("POST", "/login") {
            let field = |name: &str| body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            let (email, password) = (field("email").unwrap_or("-"), field("password").unwrap_or("-"));
            if password.strip_prefix("right-") != Some(email) {
                *answer.status_mut() = StatusCode::UNAUTHORIZED;
                return answer;
            }
            *answer.status_mut() = StatusCode::SEE_OTHER;
            let sid = format!("sid=s-{}; Path=/; HttpOnly", seen.header("weir-request-id"));
            answer.headers_mut().insert("set-cookie", sid.parse().unwrap());
            answer.headers_mut().insert("location", "/account".parse().unwrap());
        }
        answer
    })
}

/// A running world.
pub struct World {
    street: Street,
    customers: Vec<Customer>,
    steps: Vec<(u64, Step)>,
    size: Size,
    dice: Dice,
    /// When somebody was slowed.
    slowed_at: Vec<u64>,
}

/// When the guesser comes, in milliseconds since the beginning; honest sign-ins of that day come an hour later, for eight hours.
const ATTACK: u64 = WEEKS * DAY * 1000;

impl World {
    /// Everybody in place, nothing asked yet.
    pub async fn new(size: Size) -> Self {
        let street = Street::new(application()).await;
        let mut world =
            Self { street, customers: Vec::new(), steps: Vec::new(), size, dice: Dice(7), slowed_at: Vec::new() };
        world.populate();
        world
    }

    fn populate(&mut self) {
        let Size { exits, customers, visits, guesses, loud } = self.size;
        let dice = &mut self.dice;
        for number in 0..exits * customers {
            let habit = match dice.roll(100) {
                0..75 => Habit::Keeps,
                75..87 => Habit::NeverKeeps,
                87..95 => Habit::HasLostThem,
                _ => Habit::IsNew,
            };
            let browser = dice.roll(4) as usize;
            self.customers.push(Customer { exit: number % exits, habit, browser, jar: Vec::new(), since: None });
            let before = if habit == Habit::IsNew { 0 } else { visits };
            for visit in 0..before {
                let day = visit * WEEKS / visits + dice.roll(WEEKS / visits);
                let at = (day * DAY + dice.roll(9 * HOUR)) * 1000 + dice.roll(1000);
                let home = dice.roll(10) < 3;
                self.steps.push((at, Step::Visit { customer: number, home }));
            }
            let at = ATTACK + (HOUR + dice.roll(8 * HOUR)) * 1000 + dice.roll(1000);
            self.steps.push((at, Step::Visit { customer: number, home: false }));
        }
        let (begin, span) = if loud { (4 * HOUR, HOUR) } else { (0, 9 * HOUR) };
        for exit in 0..exits {
            for _ in 0..guesses {
                let at = match dice.roll(10) {
                    0..4 => format!("c{}", dice.roll((exits * customers) as u64)),
                    _ => format!("x{:08x}", dice.roll(1 << 32)),
                };
                let browser = dice.roll(4) as usize;
                let when = ATTACK + begin * 1000 + dice.roll(span * 1000);
                self.steps.push((when, Step::Guess { exit, at, browser }));
            }
        }
        self.steps.sort_by_key(|(at, _)| *at);
    }

    /// Lets all of it happen.
    pub async fn run(mut self) -> Outcome {
        let mut outcome = Outcome::default();
        for (at, step) in std::mem::take(&mut self.steps) {
            self.street.wait(at.saturating_sub(self.street.passed));
            match step {
                Step::Guess { exit: number, at: whom, browser } => {
                    let form = format!("email={whom}@example.com&password=guess-{at}");
                    let answer = self
                        .street
                        .ask(("POST", "/login"), Visitor { from: &exit(number), browser, jar: &mut Vec::new() }, &form)
                        .await;
                    let met = if answer.status == StatusCode::UNAUTHORIZED { "wrong".to_owned() } else { met(&answer) };
                    *outcome.guesses.entry(met).or_default() += 1;
                }
                Step::Visit { customer, home } => self.visit(customer, home, at >= ATTACK, &mut outcome).await,
            }
        }
        let Self { street: Street { rig, .. }, slowed_at, .. } = self;
        let at = |line: &serde_json::Value| line["time"].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
        let since = |time: jiff::Timestamp| u64::try_from(time.as_millisecond()).unwrap() - NOON.unix_millis();
        let slowed = |line: &serde_json::Value| at(line).is_some_and(|time| slowed_at.contains(&since(time)));
        outcome.lines = rig.stop().iter().filter(|line| slowed(line)).map(ToString::to_string).collect();
        outcome
    }

    /// One honest visit: the page, perhaps a wrong password, the right one, and what one came for.
    async fn visit(&mut self, number: usize, from_home: bool, counts: bool, outcome: &mut Outcome) {
        let Customer { exit: behind, habit, browser, since, .. } = self.customers[number];
        let address = if from_home { home(number) } else { exit(behind) };
        let mut jar = std::mem::take(&mut self.customers[number].jar);
        jar.retain(|(name, _)| name != "sid");
        if habit == Habit::NeverKeeps || (habit == Habit::HasLostThem && counts) {
            jar.clear();
        }
        let began = self.street.passed;
        let own = !jar.is_empty() && since.is_some_and(|since| began - since >= 3 * DAY * 1000);
        let (mut slowed, mut at) = (None, None);
        if self.dice.roll(100) < 88 {
            self.street.ask(("GET", "/login"), Visitor { from: &address, browser, jar: &mut jar }, "").await;
            self.street.wait(6000);
        }
        if self.dice.roll(100) < 8 {
            let form = format!("email=c{number}@example.com&password=mistyped");
            let answer =
                self.street.ask(("POST", "/login"), Visitor { from: &address, browser, jar: &mut jar }, &form).await;
            slowed = (answer.status != StatusCode::UNAUTHORIZED).then(|| format!("first {}", met(&answer)));
            at = slowed.is_some().then_some(self.street.passed);
            self.street.wait(9000);
        }
        let form = format!("email=c{number}@example.com&password=right-c{number}@example.com");
        let answer =
            self.street.ask(("POST", "/login"), Visitor { from: &address, browser, jar: &mut jar }, &form).await;
        let came_in = answer.status == StatusCode::SEE_OTHER && answer.header("location") == "/account";
        if came_in {
            self.street.wait(2000);
            let page = self
                .street
                .ask(("GET", "/account/balance"), Visitor { from: &address, browser, jar: &mut jar }, "")
                .await;
            at = at.or((page.status != StatusCode::OK).then_some(self.street.passed));
            slowed = slowed.or((page.status != StatusCode::OK).then(|| format!("balance {}", met(&page))));
            self.customers[number].since = since.filter(|_| habit == Habit::Keeps).or(Some(began));
        } else {
            at = at.or(Some(self.street.passed));
            slowed = slowed.or(Some(met(&answer)));
        }
        self.customers[number].jar = jar;
        if !counts {
            outcome.before += 1;
            outcome.before_slowed += usize::from(slowed.is_some());
            return;
        }
        outcome.honest += 1;
        *outcome.habits.entry(habit.word()).or_default() += 1;
        outcome.own += usize::from(own);
        if let Some(met) = slowed {
            outcome.slowed += 1;
            outcome.own_slowed += usize::from(own);
            *outcome.met.entry(format!("{}: {met}", habit.word())).or_default() += 1;
            self.slowed_at.extend(at);
        }
    }
}

/// What an answer does, in a word.
fn met(answer: &Answer) -> String {
    let to = answer.header("location").split('?').next().unwrap_or_default();
    format!("{} {to}", answer.status.as_u16()).trim_end().to_owned()
}
