//! The built-in German: ruhig und einfach, mit "Sie". What it says is what the English says, not a translation word by word.

use super::kinds::{Kind, Phrase};

/// The days of the week, Monday first.
pub const DAYS: [&str; 7] = ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"];

/// The months.
pub const MONTHS: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];

/// Headline and detail of a kind.
pub const fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::StepUp => (
            "Bitte bestätigen Sie, dass Sie es sind",
            "Bevor es weitergeht, brauchen wir noch ein Zeichen, dass Sie es sind.",
        ),
        Kind::ReadOnly => (
            "Sie können alles ansehen, aber im Moment nichts ändern",
            "Änderungen sind im Moment nicht möglich. Ihre Eingaben wurden nicht gespeichert, und an Ihrem Konto hat sich nichts geändert.",
        ),
        Kind::Throttle => (
            "Bitte warten Sie einen Moment",
            "Das wurde in kurzer Zeit oft versucht. Es ist nichts verloren: Bitte warten Sie kurz und versuchen Sie es dann noch einmal.",
        ),
        Kind::Handoff => (
            "Wir erledigen das gemeinsam mit Ihnen",
            "Damit Ihr Konto sicher bleibt, hilft Ihnen bei diesem Schritt ein Mensch. Es wurde nichts geändert, und Ihr Konto und Ihre Bestellungen sind, wie sie waren.",
        ),
        Kind::Denied => (
            "Das geht hier im Moment nicht",
            "Diesen Schritt können wir gerade nicht online ausführen. Es wurde nichts geändert. Ein Mensch kann Ihnen helfen.",
        ),
        Kind::AutomationNarrowed => (
            "Automatischer Zugriff ist gerade eingeschränkt",
            "Im Moment dürfen Programme nur einen Teil dieses Angebots nutzen, und das hier gehört nicht dazu. Es wurde nichts geändert. Wenn ein Mensch es braucht, kann er hier weitermachen.",
        ),
        Kind::Refused => (
            "Diese Adresse ist nicht verfügbar",
            "Hier liegt nichts, was Sie brauchen. Wenn Sie ein Link auf unseren eigenen Seiten hierher geführt hat, sagen Sie uns bitte Bescheid.",
        ),
        Kind::Busy => (
            "Gerade sind sehr viele Menschen hier",
            "Das konnten wir eben nicht annehmen. Es ist nichts verloren: Bitte versuchen Sie es gleich noch einmal.",
        ),
        Kind::Upstream => (
            "Dieser Teil der Seite antwortet gerade nicht",
            "Wir kümmern uns darum. Ihr Konto und Ihre Bestellungen sind sicher. Wenn Sie gerade etwas geändert haben, wurde es vielleicht nicht gespeichert: Bitte sehen Sie nach, bevor Sie es noch einmal senden.",
        ),
        Kind::InvalidToken => {
            ("Bitte melden Sie sich noch einmal an", "Ihre Anmeldung ist abgelaufen oder gilt hier nicht.")
        }
        Kind::Return => {
            ("Dieser Link ist abgelaufen", "Bitte gehen Sie zurück zu der Seite, auf der Sie angefangen haben.")
        }
        Kind::TooLarge => {
            ("Das ist zu groß", "Wir können hier höchstens {most} annehmen. Es wurde nichts gespeichert.")
        }
        Kind::TooSlow => (
            "Die Verbindung war zu langsam",
            "Was Sie gesendet haben, ist nicht rechtzeitig angekommen, und es wurde nichts gespeichert. Bitte versuchen Sie es noch einmal.",
        ),
        Kind::Incomplete => (
            "Was Sie gesendet haben, ist nicht ganz angekommen",
            "Es wurde nichts gespeichert. Bitte versuchen Sie es noch einmal.",
        ),
        Kind::Method => {
            ("Das geht an dieser Adresse nicht", "Die Adresse gibt es, aber nicht für diese Art von Anfrage.")
        }
        Kind::MethodOverride => (
            "Diese Anfrage will als eine andere gelesen werden",
            "Bitte senden Sie die Anfrage mit ihrer eigenen Methode.",
        ),
        Kind::Target => (
            "Diese Adresse ist nicht eindeutig geschrieben",
            "Die Adresse lässt sich auf mehr als eine Art lesen. Bitte benutzen Sie die Links der Seite.",
        ),
        Kind::UnknownSite => ("Diese Seite gibt es hier nicht", "Bitte prüfen Sie die Adresse."),
        Kind::Host => (
            "Diese Anfrage nennt nicht genau eine Seite",
            "Die Anfrage muss überall denselben Namen nennen, und nur einmal.",
        ),
        Kind::Request => ("Diese Anfrage wird hier nicht verstanden", "Bitte benutzen Sie die Links der Seite."),
        Kind::Internal => (
            "Bei uns ist etwas schiefgegangen",
            "Wir konnten das nicht abschließen. Bitte versuchen Sie es noch einmal. Wenn es wieder geschieht, nennen Sie uns bitte die Vorgangsnummer unten.",
        ),
    }
}

/// A fixed phrase.
pub const fn phrase(phrase: Phrase) -> &'static str {
    match phrase {
        Phrase::Resend => "Was Sie gesendet haben, wurde nicht ausgeführt: Bitte senden Sie es danach noch einmal.",
        Phrase::Confirm => "Jetzt bestätigen",
        Phrase::TryAgain => "Bitte versuchen Sie es in {wait} noch einmal.",
        Phrase::Reach => "So erreichen Sie einen Menschen",
        Phrase::HereNow => "Wir sind jetzt für Sie da.",
        Phrase::CallBack => {
            "Im Moment können wir keine Anrufe und Chats annehmen. Hinterlassen Sie eine Nachricht, und wir rufen Sie unter der Nummer zurück, die Sie uns gegeben haben."
        }
        Phrase::Elsewhere => "Im Moment können wir keine Anrufe und Chats annehmen. Bis dahin:",
        Phrase::HereAgain => "Wir sind wieder da: {opens}.",
        Phrase::Phone => "Telefon:",
        Phrase::Relay => "Text-Vermittlung:",
        Phrase::Chat => "Chat:",
        Phrase::OpeningHours => "Öffnungszeiten:",
        Phrase::StartPage => "Zur Startseite",
        Phrase::LookAt => "Was Sie jetzt ansehen können",
        Phrase::YourReference => "Ihre Vorgangsnummer",
        Phrase::Holds => "Bitte halten Sie sie bereit, wenn Sie sich bei uns melden. Sie gilt noch {span}.",
        Phrase::Reference => "Vorgangsnummer:",
        Phrase::NeverAsk => {
            "Wir fragen Sie nie nach Ihrem Passwort oder nach einem Code, den wir Ihnen geschickt haben, weder am Telefon noch per E-Mail."
        }
        Phrase::LookOnly => {
            "Änderungen sind im Moment nicht möglich. An Ihrem Konto und Ihren Bestellungen hat sich nichts geändert."
        }
        Phrase::Away => "Wir kümmern uns darum. Ihr Konto und Ihre Bestellungen sind sicher.",
        Phrase::AsItWas => "So sah es zu diesem Zeitpunkt aus: {time}. Inzwischen kann sich etwas geändert haben.",
        Phrase::MayUse => "Das können Programme jetzt nutzen",
        Phrase::EveryDay => "täglich",
        Phrase::AllHours => "rund um die Uhr",
        Phrase::DayTo => "bis",
        Phrase::Times => "{times} Uhr",
        Phrase::Zone => "Ortszeit {city}",
        Phrase::Moment => "{weekday}, {day}. {month}, {time} Uhr",
        Phrase::Second => "{n} Sekunde",
        Phrase::Seconds => "{n} Sekunden",
        Phrase::Minute => "{n} Minute",
        Phrase::Minutes => "{n} Minuten",
        Phrase::Hour => "{n} Stunde",
        Phrase::Hours => "{n} Stunden",
    }
}
