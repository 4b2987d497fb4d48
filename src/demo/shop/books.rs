//! The shop's books: accounts, sessions, baskets, orders, letters. All in memory, all bounded, gone at the end.
//!
//! It knows nothing of HTTP. It never keeps a password, only a keyed hash of it, and it answers an unknown account exactly as
//! a wrong password. What a caller asks for is always looked up under the account that is signed in.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::Instant;

use super::seeds::{CUSTOMERS, PHONE_CODE, Product, Seed, product};

/// Sessions kept. The loser is the one used longest ago; those that nobody signed in to go first.
const SESSIONS: usize = 4096;
/// A session unused for this long is over.
const SESSION_IDLE: Duration = Duration::from_secs(8 * 3600);
/// Orders kept for one account. The loser is the oldest.
const ORDERS: usize = 50;
/// Different products in one basket. The loser is the newest.
const BASKET: usize = 20;
/// Pieces of one product in one order.
pub const PIECES: u32 = 99;
/// Letters, and links in them, kept. The loser is the oldest.
const LETTERS: usize = 200;
/// A link in a letter works for this long.
const LINK_AGE: Duration = Duration::from_secs(3600);
/// Wrong codes after which a session is ended.
const WRONG_CODES: u8 = 5;

/// Which account: its place in the books.
pub type AccountAt = usize;

/// A customer's account.
#[derive(Debug)]
pub struct Account {
    /// Its number.
    pub id: &'static str,
    /// The customer's name.
    pub name: String,
    /// What they sign in with, lower case.
    pub email: String,
    /// Street, town, postcode.
    pub address: [String; 3],
    /// What is owed, in pence.
    pub owed: i64,
    /// Oldest first.
    pub orders: VecDeque<Order>,
    password: hmac::Tag,
    next_order: u32,
}

/// An order.
#[derive(Debug, Clone)]
pub struct Order {
    /// Account number and a count.
    pub id: String,
    /// What was ordered.
    pub lines: Vec<Line>,
    placed: Placed,
}

/// Some pieces of one product.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// What.
    pub product: &'static Product,
    /// How many.
    pub pieces: u32,
}

#[derive(Debug, Clone, Copy)]
enum Placed {
    Before { day: &'static str, status: &'static str },
    At(Instant),
}

impl Order {
    /// The day it was placed, for people.
    pub const fn day(&self) -> &'static str {
        match self.placed {
            Placed::Before { day, .. } => day,
            Placed::At(_) => "today",
        }
    }

    /// How far it has come: a new order is packed after a minute and leaves after three.
    pub fn status(&self, now: Instant) -> &'static str {
        match self.placed {
            Placed::Before { status, .. } => status,
            Placed::At(at) => match now.saturating_duration_since(at).as_secs() {
                0..60 => "received",
                60..180 => "packed",
                _ => "on its way",
            },
        }
    }

    /// What it costs, in pence.
    pub fn total(&self) -> i64 {
        total(&self.lines)
    }
}

/// What these lines cost, in pence.
pub fn total(lines: &[Line]) -> i64 {
    lines.iter().map(|line| line.product.price.saturating_mul(i64::from(line.pieces))).sum()
}

/// One browser's or app's visit.
#[derive(Debug)]
struct Session {
    account: Option<AccountAt>,
    basket: Vec<Line>,
    wrong_codes: u8,
    used: Instant,
}

/// A letter that a real shop would have sent by e-mail.
#[derive(Debug, Clone)]
pub struct Letter {
    /// To whom.
    pub to: String,
    /// What about.
    pub subject: &'static str,
    /// The path to open.
    pub link: String,
}

/// What the link in a letter is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Errand {
    NewPassword,
    NewEmail(String),
}

#[derive(Debug)]
struct Link {
    token: String,
    account: AccountAt,
    errand: Errand,
    sent: Instant,
}

/// What came of a one-time code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeCheck {
    /// The right one.
    Right,
    /// A wrong one.
    Wrong,
    /// Wrong once too often: the session is over.
    Ended,
    /// Nobody is signed in.
    SignedOut,
}

/// Why a change was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The current password is not right.
    WrongPassword,
    /// A password is shorter than eight characters or longer than 128.
    PasswordLength,
    /// Not an e-mail address.
    NotAnEmail,
    /// A field is empty or longer than 100 characters.
    Field,
    /// Nothing to order, or too much of it.
    Basket,
    /// The link is unknown, used or too old.
    Link,
}

impl Refused {
    /// The word in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong_password",
            Self::PasswordLength => "password_length",
            Self::NotAnEmail => "not_an_email",
            Self::Field => "field",
            Self::Basket => "basket",
            Self::Link => "link",
        }
    }

    /// The sentence for a customer.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::WrongPassword => "The current password is not right.",
            Self::PasswordLength => "A password needs between 8 and 128 characters.",
            Self::NotAnEmail => "This does not look like an e-mail address.",
            Self::Field => "Please fill in every field, with no more than 100 characters each.",
            Self::Basket => "There is nothing to order, or more than 99 of one thing.",
            Self::Link => "This link has been used or is too old. Please ask for a new one.",
        }
    }
}

/// The books.
pub struct Books {
    key: hmac::Key,
    accounts: Vec<Account>,
    sessions: HashMap<String, Session>,
    links: VecDeque<Link>,
    letters: VecDeque<Letter>,
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Books({} accounts, {} sessions)", self.accounts.len(), self.sessions.len())
    }
}

fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    Ok(bytes)
}

fn hash(key: &hmac::Key, id: &str, password: &str) -> hmac::Tag {
    hmac::sign(key, format!("{id}\0{password}").as_bytes())
}

impl Books {
    /// The books as the shop opens.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn open() -> std::io::Result<Self> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()?);
        let accounts = CUSTOMERS.iter().map(|seed| Account::open(seed, &key)).collect();
        Ok(Self { key, accounts, sessions: HashMap::new(), links: VecDeque::new(), letters: VecDeque::new() })
    }

    fn begin(&mut self, account: Option<AccountAt>, basket: Vec<Line>, now: Instant) -> std::io::Result<String> {
        if self.sessions.len() >= SESSIONS {
            self.sessions.retain(|_, session| now.saturating_duration_since(session.used) < SESSION_IDLE);
        }
        if self.sessions.len() >= SESSIONS {
            let loser = self.sessions.iter().min_by_key(|(_, session)| (session.account.is_some(), session.used));
            if let Some(loser) = loser.map(|(sid, _)| sid.clone()) {
                self.sessions.remove(&loser);
            }
        }
        let sid = URL_SAFE_NO_PAD.encode(random::<24>()?);
        self.sessions.insert(sid.clone(), Session { account, basket, wrong_codes: 0, used: now });
        Ok(sid)
    }

    fn session(&mut self, sid: Option<&str>, now: Instant) -> Option<&mut Session> {
        let sid = sid?;
        let over = self.sessions.get(sid).is_some_and(|s| now.saturating_duration_since(s.used) >= SESSION_IDLE);
        if over {
            self.sessions.remove(sid);
        }
        let session = self.sessions.get_mut(sid)?;
        session.used = now;
        Some(session)
    }

    /// Who is signed in to this session.
    pub fn signed_in(&mut self, sid: Option<&str>, now: Instant) -> Option<AccountAt> {
        self.session(sid, now)?.account
    }

    /// The account at this place.
    pub fn account(&self, at: AccountAt) -> Option<&Account> {
        self.accounts.get(at)
    }

    /// Opens a session for the right password; the basket comes along, the old session ends. `None` for a wrong password and
    /// for an unknown account alike, after the same work.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn sign_in(
        &mut self,
        email: &str,
        password: &str,
        old: Option<&str>,
        now: Instant,
    ) -> std::io::Result<Option<String>> {
        let email = email.trim().to_lowercase();
        let at = self.accounts.iter().position(|account| account.email == email);
        let account = at.and_then(|at| self.accounts.get(at));
        let given = hash(&self.key, account.map_or("nobody", |account| account.id), password);
        // Constant time does not matter over keyed hashes that nobody outside can choose.
        let right = account.is_some_and(|account| account.password.as_ref() == given.as_ref());
        if !right {
            return Ok(None);
        }
        let basket = old.and_then(|old| self.sessions.remove(old)).map(|session| session.basket).unwrap_or_default();
        self.begin(at, basket, now).map(Some)
    }

    /// Ends a session.
    pub fn sign_out(&mut self, sid: Option<&str>) {
        if let Some(sid) = sid {
            self.sessions.remove(sid);
        }
    }

    /// Compares a one-time code with the one that the phone shows.
    pub fn check_code(&mut self, sid: Option<&str>, code: &str, now: Instant) -> CodeCheck {
        let Some(session) = self.session(sid, now).filter(|session| session.account.is_some()) else {
            return CodeCheck::SignedOut;
        };
        if code.split_whitespace().collect::<String>() == PHONE_CODE {
            session.wrong_codes = 0;
            return CodeCheck::Right;
        }
        session.wrong_codes += 1;
        if session.wrong_codes < WRONG_CODES {
            return CodeCheck::Wrong;
        }
        self.sign_out(sid);
        CodeCheck::Ended
    }

    /// What is in the basket.
    pub fn basket(&mut self, sid: Option<&str>, now: Instant) -> Vec<Line> {
        self.session(sid, now).map(|session| session.basket.clone()).unwrap_or_default()
    }

    /// Puts something in the basket. A visitor without a session gets one: its identifier is returned.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn put(&mut self, sid: Option<&str>, line: Line, now: Instant) -> std::io::Result<Option<String>> {
        let Some(session) = self.session(sid, now) else {
            return self.begin(None, vec![Line { pieces: line.pieces.min(PIECES), ..line }], now).map(Some);
        };
        let room = session.basket.len() < BASKET;
        match session.basket.iter_mut().find(|there| there.product.slug == line.product.slug) {
            Some(there) => there.pieces = there.pieces.saturating_add(line.pieces).min(PIECES),
            None if room => {
                session.basket.push(Line { pieces: line.pieces.min(PIECES), ..line });
            }
            None => {}
        }
        Ok(None)
    }

    /// Takes a product out of the basket.
    pub fn take_out(&mut self, sid: Option<&str>, slug: &str, now: Instant) {
        if let Some(session) = self.session(sid, now) {
            session.basket.retain(|line| line.product.slug != slug);
        }
    }

    /// Orders what is in the basket, and empties it.
    ///
    /// # Errors
    /// [`Refused::Basket`] when it is empty.
    pub fn check_out(&mut self, at: AccountAt, sid: Option<&str>, now: Instant) -> Result<Order, Refused> {
        let order = self.order(at, self.sessions.get(sid.unwrap_or("")).map_or(vec![], |s| s.basket.clone()), now)?;
        if let Some(session) = self.session(sid, now) {
            session.basket.clear();
        }
        Ok(order)
    }

    /// Places an order for these lines.
    ///
    /// # Errors
    /// [`Refused::Basket`] when there is nothing to order, or too much of it.
    pub fn order(&mut self, at: AccountAt, lines: Vec<Line>, now: Instant) -> Result<Order, Refused> {
        let fits =
            !lines.is_empty() && lines.len() <= BASKET && lines.iter().all(|line| (1..=PIECES).contains(&line.pieces));
        let account = self.accounts.get_mut(at).filter(|_| fits).ok_or(Refused::Basket)?;
        account.next_order += 1;
        let order = Order { id: format!("{}-{}", account.id, account.next_order), lines, placed: Placed::At(now) };
        account.owed = account.owed.saturating_add(order.total());
        if account.orders.len() >= ORDERS {
            account.orders.pop_front();
        }
        account.orders.push_back(order.clone());
        Ok(order)
    }

    /// Writes a new delivery address.
    ///
    /// # Errors
    /// [`Refused::Field`].
    pub fn move_house(&mut self, at: AccountAt, address: [String; 3]) -> Result<(), Refused> {
        let address = address.map(|field| field.trim().to_owned());
        let fits = address.iter().all(|field| !field.is_empty() && field.chars().count() <= 100);
        let account = self.accounts.get_mut(at).filter(|_| fits).ok_or(Refused::Field)?;
        account.address = address;
        Ok(())
    }

    /// Asks for another e-mail address. It takes effect when the link sent to the new one is opened.
    ///
    /// # Errors
    /// [`Refused::NotAnEmail`].
    pub fn ask_new_email(&mut self, at: AccountAt, email: &str, now: Instant) -> Result<String, Refused> {
        let email = email.trim().to_lowercase();
        let halves = email.split_once('@').filter(|(name, host)| !name.is_empty() && host.contains('.'));
        let clean = email.chars().all(|c| !c.is_whitespace() && !c.is_control()) && email.len() <= 100;
        if halves.is_none() || !clean {
            return Err(Refused::NotAnEmail);
        }
        self.send(at, email.clone(), Errand::NewEmail(email.clone()), now);
        Ok(email)
    }

    /// Opens the link that confirms a new e-mail address.
    ///
    /// # Errors
    /// [`Refused::Link`].
    pub fn confirm_email(&mut self, token: &str, now: Instant) -> Result<(), Refused> {
        let is_email = |errand: &Errand| matches!(errand, Errand::NewEmail(_));
        let Some(Link { account, errand: Errand::NewEmail(email), .. }) = self.open_link(token, is_email, now) else {
            return Err(Refused::Link);
        };
        // Another account may have taken the address since. The link then is as good as used.
        if self.accounts.iter().enumerate().any(|(at, other)| at != account && other.email == email) {
            return Err(Refused::Link);
        }
        if let Some(account) = self.accounts.get_mut(account) {
            account.email = email;
        }
        Ok(())
    }

    /// Sets another password for who knows the current one. Every other session of the account ends.
    ///
    /// # Errors
    /// [`Refused::WrongPassword`], [`Refused::PasswordLength`].
    pub fn change_password(
        &mut self,
        at: AccountAt,
        sid: Option<&str>,
        current: &str,
        new: &str,
    ) -> Result<(), Refused> {
        let known = self.accounts.get(at).ok_or(Refused::WrongPassword)?;
        if hash(&self.key, known.id, current).as_ref() != known.password.as_ref() {
            return Err(Refused::WrongPassword);
        }
        self.set_password(at, new)?;
        self.sessions.retain(|id, session| session.account != Some(at) || Some(id.as_str()) == sid);
        Ok(())
    }

    /// Sends a link for a new password, if the account exists. The caller cannot tell.
    pub fn ask_new_password(&mut self, email: &str, now: Instant) {
        let email = email.trim().to_lowercase();
        if let Some(at) = self.accounts.iter().position(|account| account.email == email) {
            self.send(at, email, Errand::NewPassword, now);
        }
    }

    /// Sets a password by a link. Every session of the account ends.
    ///
    /// # Errors
    /// [`Refused::PasswordLength`] (the link still works), [`Refused::Link`].
    pub fn new_password(&mut self, token: &str, new: &str, now: Instant) -> Result<(), Refused> {
        password_length(new)?;
        let link = self.open_link(token, |errand| *errand == Errand::NewPassword, now).ok_or(Refused::Link)?;
        self.set_password(link.account, new)?;
        self.sessions.retain(|_, session| session.account != Some(link.account));
        Ok(())
    }

    /// The letters, newest first.
    pub fn letters(&self) -> Vec<Letter> {
        self.letters.iter().rev().cloned().collect()
    }

    fn set_password(&mut self, at: AccountAt, new: &str) -> Result<(), Refused> {
        password_length(new)?;
        if let Some(account) = self.accounts.get_mut(at) {
            account.password = hash(&self.key, account.id, new);
        }
        Ok(())
    }

    fn send(&mut self, account: AccountAt, to: String, errand: Errand, now: Instant) {
        let Ok(token) = random::<24>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes)) else { return };
        let (subject, link) = match errand {
            Errand::NewPassword => ("Choose a new password", format!("/password/new?token={token}")),
            Errand::NewEmail(_) => ("Confirm your new e-mail address", format!("/account/email/confirm?token={token}")),
        };
        if self.letters.len() >= LETTERS {
            self.letters.pop_front();
        }
        self.letters.push_back(Letter { to, subject, link });
        if self.links.len() >= LETTERS {
            self.links.pop_front();
        }
        self.links.push_back(Link { token, account, errand, sent: now });
    }

    fn open_link(&mut self, token: &str, fits: impl Fn(&Errand) -> bool, now: Instant) -> Option<Link> {
        let fresh = |link: &Link| now.saturating_duration_since(link.sent) < LINK_AGE;
        let at = self.links.iter().position(|link| link.token == token && fits(&link.errand) && fresh(link))?;
        self.links.remove(at)
    }
}

fn password_length(password: &str) -> Result<(), Refused> {
    if (8..=128).contains(&password.chars().count()) { Ok(()) } else { Err(Refused::PasswordLength) }
}

impl Account {
    fn open(seed: &Seed, key: &hmac::Key) -> Self {
        let orders = seed.orders.iter().zip(1..).map(|(past, count)| Order {
            id: format!("{}-{count}", seed.id),
            lines: past
                .lines
                .iter()
                .filter_map(|(slug, pieces)| Some(Line { product: product(slug)?, pieces: *pieces }))
                .collect(),
            placed: Placed::Before { day: past.placed, status: past.status },
        });
        Self {
            id: seed.id,
            name: seed.name.to_owned(),
            email: seed.email.to_owned(),
            address: seed.address.map(str::to_owned),
            owed: seed.owed,
            orders: orders.collect(),
            password: hash(key, seed.id, seed.password),
            next_order: u32::try_from(seed.orders.len()).unwrap_or(0),
        }
    }

    /// An order of this account.
    pub fn order(&self, id: &str) -> Option<&Order> {
        self.orders.iter().find(|order| order.id == id)
    }
}
