//! Every code that a diagnostic can bear, in one place, with one line for the reference.
//!
//! A number is never given a new meaning and never used again.

use super::{Code, Severity};

macro_rules! codes {
    ($($name:ident $id:literal $severity:ident $what:literal)*) => {
        $(
            #[doc = $what]
            pub static $name: Code = Code { id: $id, severity: Severity::$severity, what: $what };
        )*
        /// All of them, in the order of their numbers.
        pub static ALL: &[&Code] = &[$(&$name),*];
    };
}

codes! {
    DIRECTORY "W0001" Error "The directory of rules is missing, empty, unreadable or keeps changing."
    UNREADABLE "W0002" Error "A rule file cannot be read, or is not UTF-8 text."
    TOO_MUCH "W0003" Error "A bound on size, count or nesting is exceeded."
    LINKED_DIRECTORY "W0004" Warning "A link to a directory is not followed."
    SYNTAX "W0005" Error "The text is not TOML."
    MORE "W0006" Error "There are more problems than are shown."
    MORE_WARNINGS "W0007" Warning "There are more warnings than are shown."
    FILE "W0008" Error "A certificate, key or authority that the rules name cannot be used."

    UNKNOWN_KEY "W0010" Error "No such key in this place."
    WRONG_TYPE "W0011" Error "A value is of the wrong kind."
    MISSING_KEY "W0012" Error "A key that must be there is not."
    UNKNOWN_WORD "W0013" Error "The value is not one of the words that this key takes."
    OUT_OF_RANGE "W0014" Error "A number is outside its range."
    NOT_YET "W0015" Warning "Part of the language, but this build does not act on it yet."
    TWICE "W0016" Error "Something that may stand once stands twice."
    EXACTLY_ONE "W0017" Error "Of several keys exactly one must be given."
    EMPTY "W0018" Error "A list or text that must not be empty is."
    DOES_NOT_APPLY "W0019" Error "A key does not apply to what stands beside it."

    BAD_DURATION "W0020" Error "A duration cannot be read."
    BAD_RATE "W0021" Error "A rate cannot be read."
    BAD_NETWORK "W0022" Error "An address or network cannot be read."
    BAD_URL "W0023" Error "An address of a server or page cannot be read."
    BAD_HOST "W0024" Error "A host name cannot be read."
    BAD_ROUTE "W0025" Error "A route cannot be read."
    BAD_PATH "W0026" Error "A path is not written in its canonical form."
    BAD_REGEX "W0027" Error "A regular expression does not compile or is too large."
    BAD_HOURS "W0028" Error "Opening hours cannot be read."
    BAD_NAME "W0030" Error "A name holds characters that a name may not hold."
    BAD_HEADER "W0031" Error "A header name cannot be read."
    BAD_LISTENER "W0032" Error "A listening address cannot be used."

    UNKNOWN_NAME "W0040" Error "A name is used that no rule file defines."
    NO_SITE "W0041" Error "There is no site, so every request would be refused."
    HOST_TWICE "W0042" Error "Two sites answer for the same host."
    UNUSED_UPSTREAM "W0043" Warning "An upstream is defined and never used."
    ROUTE_TWICE "W0044" Error "Two journeys name the same route."
    ROUTE_TWIN "W0045" Error "Two journeys name routes that differ only by case or a trailing slash."
    ROUTE_CONFLICT "W0046" Error "Two routes cannot be told apart."
    PROTOCOL_CLASH "W0048" Error "A protocol does not go with the server's address."
    ROUTE_LISTED_TWICE "W0049" Warning "A journey names the same route twice."

    LADDER_ORDER "W0050" Error "A ladder's rungs are not in falling order."
    LADDER_STRICTNESS "W0051" Error "A lower rung is more generous than one above it."
    LADDER_END "W0052" Error "A ladder does not end at 0."
    DEAD_END "W0053" Error "A customer could be left without a way forward."
    RUNG_DEPENDENCY "W0054" Error "A rung needs something that is not configured."
    BELOW_VIEW_LINE "W0055" Error "Personal data would be shown below the view line."
    NO_WHEN_UNKNOWN "W0056" Error "A sensitive journey does not say what is done when a source is unknown."
    ATTEMPT_WITHOUT_OUTCOME "W0057" Error "An attempt is judged but nothing tells whether it succeeded."
    NOT_BUILT "W0058" Error "An action that this build cannot take."
    ATTEMPT_STEP_UP "W0059" Error "An attempt cannot be asked for one more proof: there is no session yet."

    CASE_FAILS "W0070" Error "A case that must hold does not."

    NEEDS_CARE "W0080" Error "A setting would expose something that must stay private."
    CLEAR_TEXT "W0081" Warning "Something that must not be changed on the way is fetched in clear text."

    LIMIT_HEADER "W0100" Error "A limit counts by header and names none, or names one and counts by something else."
    LIMIT_ACCOUNT "W0101" Error "A limit counts by account where no account is known."
    LIMIT_REST "W0102" Error "What a limit gives at once takes too long to come back."

    BAD_UPGRADE "W0110" Error "A protocol to switch to cannot be used."
    BAD_SUBJECT "W0111" Error "The name of a certificate cannot be read."
    BAD_DIGEST "W0112" Error "A key's digest cannot be read."
    NO_KEYS "W0113" Error "Keys are named that no rule file holds."
    UNUSED_KEYS "W0114" Warning "Keys are written that prove nothing."
    TWO_CLASSES "W0115" Warning "One key stands for two classes."
    NO_TOKENS "W0116" Error "A claim is asked for, but no tokens are verified."

    BAD_LANGUAGE "W0125" Error "A language tag cannot be read."
    WITHOUT_WORDS "W0126" Error "A language is spoken that lacks words."
    NOT_SPOKEN "W0127" Error "Words are written in a language that is not spoken."
    BAD_WORDS "W0128" Error "Words for customers are too long, hold markup, or a place that is not filled in there."
    BAD_TEMPLATE "W0129" Error "A template cannot be used, or leaves out what a customer needs."
    TEMPLATE_BLOCKED "W0130" Warning "A template holds something that browsers will not take on this page."
    UNUSED_TEMPLATE "W0131" Warning "A template that nothing uses."
    BAD_PROFILE "W0132" Error "A client profile that cannot be used."

    PLAYBOOK_ENDS "W0140" Error "A playbook does not end, or not in time."
    NO_SUCH_RUNG "W0141" Error "A playbook asks for a rung that the journey does not have."
    CHANGES_NOTHING "W0142" Error "A playbook, or one of its changes, changes nothing."
    NOT_CONTAINED "W0143" Error "A playbook contains a journey that does not say how."
    NEEDS_A_PERSON "W0144" Error "A trigger would change things for everybody without a person."
    DESK_UNPREPARED "W0145" Error "A playbook leads customers to people who are not told how to verify them."
    BAD_THRESHOLD "W0146" Error "A value to compare with cannot be read."
    ARMS_SITE_WIDE "W0147" Warning "A trigger changes things for everybody; only its stand-down keeps it short."
    CLAIMED_CHANNEL "W0148" Warning "A playbook leaves out a channel that a client can claim to come from."

    BREACH_EMPTY "W0150" Error "The lists of what has leaked are none."
    BREACH_WITHOUT_KEY "W0151" Error "A list is named without the key that it was made with."
    BREACH_IDLE "W0152" Warning "A list or key is named that nothing is ever compared with."
    BREACH_FILE "W0153" Error "A list of what has leaked cannot be used."
    BREACH_STALE "W0154" Warning "A list of what has leaked is older than it may be."
    KEPT_TOO_LONG "W0160" Error "What is remembered of people would be kept for longer than is allowed."
    ISSUER_TWICE "W0170" Error "Two transmitters of security events have one issuer."
    EVENTS_AGE "W0171" Error "Security events could be taken again after they were forgotten."
    EVENTS_PATH "W0172" Error "Security events would be taken on a path that a journey names."
    SCORE_AS_PROOF "W0173" Error "A level would be proved by somebody else's score."

    BAD_SHARE "W0180" Error "A share cannot be read."
    NO_PROXY "W0181" Error "A header of proxies is named, but no proxy is trusted."
    UNKNOWN_SIGNAL "W0190" Error "A weight is given to a signal that there is not."

    OUTCOMES_KEPT "W0200" Error "Outcomes would be kept for longer than is allowed, or for less than a day."

    GUARD_TIME "W0210" Error "A time of a guard is too short or too long to be of use."
    LOSS_HELPS "W0211" Error "Losing a source would serve somebody better than having it."

    BUDGET_TIME "W0230" Error "A budget looks back for too short or too long a time."
    BUDGET_MOVES_NOTHING "W0231" Error "A budget is written where no line can float."
    CALIBRATION_SLOPE "W0232" Error "A calibration says of points what cannot be believed."
    CALIBRATION_OUTCOMES "W0233" Error "A calibration rests on too few outcomes."
    CALIBRATION_DAY "W0234" Error "The day of a calibration cannot be read."
    LIMIT_AGE "W0235" Error "A limit is for accounts of an age that is of no use."
    SNAPSHOT_WITHOUT_LINE "W0240" Error "Snapshots would be shown to somebody who is not sure enough."
    SNAPSHOT_NOT_CONTAINED "W0241" Error "Snapshots are kept that would never be shown."
    SNAPSHOT_OF_NOTHING "W0242" Error "Snapshots are kept where nothing is looked at."
    SNAPSHOT_OF_NOBODY "W0243" Error "Snapshots are kept of nobody: no subject is known."
    SNAPSHOT_TIME "W0244" Error "A time of a snapshot is too short or too long to be of use."
    BAD_POINTER "W0245" Error "A JSON pointer cannot be read."
    SNAPSHOT_VARY "W0246" Error "A header cannot tell the answers of one customer apart."
    SNAPSHOT_MEMBER "W0247" Error "A member that is added to an answer cannot be used."

    BAD_ZONE "W0250" Error "A time zone is not known."
    FEED_FULL "W0251" Warning "More journeys are told of than the journeys feed shows."
    PASS_TIME "W0252" Error "A continuity pass would last for too short or too long a time."
    PASS_PROVIDERS "W0253" Error "A continuity pass asks where customers are, and no list says it."
    HALF_SPOKEN "W0260" Error "Words of your own are said in one spoken language and not in another."
    FIRST_HELP "W0261" Error "Some customers would be led to nobody but a voice line."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_rise_and_never_repeat() {
        assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert!(ALL.iter().all(|code| code.what.ends_with('.') && code.id.len() == 5));
    }
}
