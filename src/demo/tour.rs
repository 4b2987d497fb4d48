//! The tour: five things to type, one for each way of being served. `weir demo` prints them, and a test runs each.
//!
//! Plain data. The lines are for a POSIX shell with curl, one line each, in this order: later stops use the sessions of
//! earlier ones. They use no secret but the demonstration's own passwords.

/// One stop of the tour.
#[derive(Debug, Clone, Copy)]
pub struct Stop {
    /// What it is about, for people.
    pub title: &'static str,
    /// The rung that its first held or served answer comes from, as rule files name it.
    pub rung: &'static str,
    /// What to type, in order.
    pub lines: &'static [Line],
    /// What it shows.
    pub shows: &'static str,
}

/// One line to type.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// The command, with `{base}` for the gateway's address and `{jar}` for the beginning of a cookie jar's path.
    pub command: &'static str,
    /// The status that its last answer has.
    pub status: u16,
    /// Whether the answer is the point of the stop (its rung's own answer), and not a step towards it.
    pub point: bool,
}

const fn step(command: &'static str, status: u16) -> Line {
    Line { command, status, point: false }
}

const fn point(command: &'static str, status: u16) -> Line {
    Line { command, status, point: true }
}

/// The five stops.
pub const STOPS: [Stop; 5] = [
    Stop {
        title: "Allowed: sign in and look at what you owe",
        rung: "allow",
        lines: &[
            step(
                "curl -ksi -b {jar}ada -c {jar}ada -d email=ada@example.test -d 'password=correct horse' {base}/login",
                303,
            ),
            point("curl -ksi -b {jar}ada -c {jar}ada {base}/api/v1/accounts/me/balance", 200),
        ],
        shows: "A right password on a browser nobody has seen before is enough to look. Nothing was asked that was not needed.",
    },
    Stop {
        title: "One more proof: change the e-mail address",
        rung: "step_up",
        lines: &[
            point("curl -ksi -b {jar}ada -c {jar}ada -d email=ada.lovelace@example.test {base}/account/email", 401),
            step("curl -ksi -b {jar}ada -c {jar}ada -d code=246810 {base}/verify", 303),
            step("curl -ksi -b {jar}ada -c {jar}ada -d email=ada.lovelace@example.test {base}/account/email", 303),
        ],
        shows: "The same session, a riskier thing: 401 with a challenge that says which proof is missing. After the code from \
                the phone, the same request goes through.",
    },
    Stop {
        title: "Looking, not changing: the delivery address",
        rung: "read_only",
        lines: &[
            step(
                "curl -ksi -b {jar}grace -c {jar}grace -d email=grace@example.test -d 'password=nanosecond wire' {base}/login",
                303,
            ),
            step("curl -ksi -b {jar}grace -c {jar}grace {base}/api/v1/accounts/me/address", 200),
            point(
                "curl -ksi -b {jar}grace -c {jar}grace -d 'street=1 Elsewhere' -d 'town=Nowhere' -d 'postcode=ZZ1 1ZZ' {base}/account/address",
                503,
            ),
        ],
        shows: "Grace can read her address but not yet change it. The answer names the ways on: wait, look, or reach a person.",
    },
    Stop {
        title: "A safer channel: a run of wrong passwords from one browser",
        rung: "handoff",
        lines: &[
            step(
                "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do curl -ksi -o /dev/null -b {jar}stranger -c {jar}stranger -d email=linus@example.test -d password=guess-$n {base}/login; done",
                0,
            ),
            point(
                "curl -ksi -b {jar}stranger -c {jar}stranger -d email=linus@example.test -d password=guess-13 {base}/login",
                403,
            ),
            step(
                "curl -ksi -b {jar}linus -c {jar}linus -d email=linus@example.test -d 'password=orange season' {base}/login",
                303,
            ),
        ],
        shows: "The guessing stops, with a reference of nine digits to read to a person. The account is not locked: Linus, in a \
                browser of his own and with the right password, still signs in.",
    },
    Stop {
        title: "Refused: what no customer asks for",
        rung: "deny",
        lines: &[point("curl -ksi {base}/.env", 403)],
        shows: "A plain rule, and the only one of the five that ends without a next step in the shop.",
    },
];

impl Line {
    /// The command as typed, for a gateway at `base` (`https://127.0.0.1:8443`) and cookie jars that begin with `jar` (`/tmp/weir-demo-1f2e3d4c/`).
    ///
    /// A status of 0 means that the line prints no answer.
    pub fn typed(&self, base: &str, jar: &str) -> String {
        self.command.replace("{base}", base).replace("{jar}", jar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_stops_are_the_five_ways_of_being_served() {
        assert_eq!(STOPS.map(|stop| stop.rung), ["allow", "step_up", "read_only", "handoff", "deny"]);
        for stop in STOPS {
            assert_eq!(stop.lines.iter().filter(|line| line.point).count(), 1, "{}", stop.title);
        }
    }

    #[test]
    fn a_typed_line_has_no_gaps_left() {
        for line in STOPS.iter().flat_map(|stop| stop.lines) {
            let typed = line.typed("https://127.0.0.1:8443", "/tmp/weir-demo-1f2e3d4c/");
            assert!(!typed.contains('{') && typed.contains("https://127.0.0.1:8443/"), "{typed}");
            assert!(!typed.contains('\n'));
        }
    }
}
