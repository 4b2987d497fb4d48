//! The tour: six things to type, one for each way of being served and one for a playbook. `weir demo` prints them, and a test
//! runs each.
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
    /// The command, with its gaps (see [`Place`]).
    pub command: &'static str,
    /// The status that its last answer has; 0 when it prints no answer.
    pub status: u16,
    /// How what it prints begins, where that is no answer.
    pub says: &'static str,
    /// Whether the answer is the point of the stop (its rung's own answer), and not a step towards it.
    pub point: bool,
}

/// What fills the gaps of a line.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// `{base}`: the gateway's address, as `https://127.0.0.1:8443`.
    pub base: &'a str,
    /// `{jar}`: how the paths of cookie jars begin, as `/tmp/weir-demo-1f2e3d4c/`.
    pub jar: &'a str,
    /// `{weir}`: this program.
    pub weir: &'a str,
    /// `{socket}`: the gateway's control socket.
    pub socket: &'a str,
}

const fn step(command: &'static str, status: u16) -> Line {
    Line { command, status, says: "", point: false }
}

const fn point(command: &'static str, status: u16) -> Line {
    Line { command, status, says: "", point: true }
}

const fn steer(command: &'static str, says: &'static str) -> Line {
    Line { command, status: 0, says, point: false }
}

/// The six stops.
pub const STOPS: [Stop; 6] = [
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
        shows: "A plain rule, and the only one of these ways that ends without a next step in the shop.",
    },
    Stop {
        title: "An incident: arm a playbook, and end it",
        rung: "step_up",
        lines: &[
            step("curl -ksi -b {jar}grace -c {jar}grace {base}/checkout", 200),
            steer("{weir} arm fraud_spike --for 10m --reason 'trying it out' --socket {socket}", "fraud_spike, "),
            point("curl -ksi -b {jar}grace -c {jar}grace {base}/checkout", 401),
            steer(
                "{weir} stand-down fraud_spike --now --reason 'tried it out' --socket {socket}",
                "fraud_spike is not armed any more.",
            ),
            step("curl -ksi -b {jar}grace -c {jar}grace {base}/checkout", 200),
        ],
        shows: "Grace may buy; while orders with stolen cards come in, only with a code; and then as before. No rule was \
                changed, it is in force for the next request, and it would have ended by itself after ten minutes.",
    },
];

impl Line {
    /// The command as typed there.
    pub fn typed(&self, place: &Place<'_>) -> String {
        let filled = self.command.replace("{base}", place.base).replace("{jar}", place.jar);
        filled.replace("{weir}", place.weir).replace("{socket}", place.socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stops_are_the_five_ways_of_being_served_and_a_playbook() {
        assert_eq!(STOPS.map(|stop| stop.rung), ["allow", "step_up", "read_only", "handoff", "deny", "step_up"]);
        for stop in STOPS {
            assert_eq!(stop.lines.iter().filter(|line| line.point).count(), 1, "{}", stop.title);
        }
    }

    #[test]
    fn a_typed_line_has_no_gaps_left() {
        for line in STOPS.iter().flat_map(|stop| stop.lines) {
            let base = "https://127.0.0.1:8443";
            let jar = "/tmp/weir-demo-1f2e3d4c/";
            let typed =
                line.typed(&Place { base, jar, weir: "weir", socket: "/tmp/weir-demo-1f2e3d4c/data/weir.sock" });
            assert!(!typed.contains('{') && (typed.contains(base) != typed.starts_with("weir ")), "{typed}");
            assert!(!typed.contains('\n'));
        }
    }
}
