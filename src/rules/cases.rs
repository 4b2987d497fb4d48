//! Cases: what operators say must come out, before a law is installed. Plain data; the judge runs them.

use std::time::Duration;

use super::client::{Channel, Class};
use super::feeds::Feeds;
use super::ruleset::Level;
use super::source::Span;

/// What must hold before the law is installed.
#[derive(Debug)]
pub struct Case {
    /// A sentence.
    pub name: Box<str>,
    /// Where it stands, for messages.
    pub span: Span,
    /// The method asked with, upper case.
    pub method: Box<str>,
    /// The path asked for, with a query if any.
    pub path: Box<str>,
    /// The host asked for; the first site's when absent.
    pub host: Option<Box<str>>,
    /// Headers given, names lower case.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// What is known of the client.
    pub given: Given,
    /// The word of the action that must come out, strictness names as in [`crate::rules::ruleset::Action::word`].
    pub expect: Box<str>,
    /// Names of playbooks that are armed; this law has every one of them.
    pub armed: Vec<Box<str>>,
}

/// What a case says is known of the client. What it leaves out is missing.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `known` or `unknown`: whether the account knows the device.
    pub device_known: Option<bool>,
    /// `known` or `new`: whether the account knows the network.
    pub network_known: Option<bool>,
    /// The level that the session has proved.
    pub authenticated: Option<Level>,
    /// How long ago it did.
    pub proof_age: Duration,
    /// Recent failed sign-ins of the account, elsewhere.
    pub account_failures: u16,
    /// Recent failed sign-ins of the device.
    pub device_failures: u16,
    /// Recent failed sign-ins of the network.
    pub network_failures: u16,
    /// What kind of client asks.
    pub class: Class,
    /// Through which channel.
    pub channel: Channel,
    /// Its network is under attack.
    pub contaminated: bool,
    /// Sources that are gone.
    pub down: Feeds,
}
