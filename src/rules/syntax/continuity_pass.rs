//! `[continuity_pass]`: what a sign-in leaves on a device, so that a customer sees their own last-known-good answers while signing in
//! is not possible.

use std::time::Duration;

use super::table::{Said, table};

table! {
    /// The continuity pass: sealed, bound to one device, for looking alone. A verified sign-in above the view line of what is kept leaves one in a cookie, and its owner sees their own snapshots with it, on that device, while signing in or the application is away. It is judged anew each time, and void after a compromise, a changed password or a sign-out. It is given when this table is absent, where a journey keeps snapshots.
    ContinuityPassFile("continuity_pass") {
        /// Whether passes are given and taken.
        on: Said<bool> = default("true");
        /// For how long after its owner was last seen, between 1h and 30d. Time in which the journey is contained, its upstream away or signing in not possible does not count, up to 90d.
        lasts: Said<Duration> = default("\"30d\"");
        /// Given only on devices that the account has long used. Fewer customers have one then, and none is left on a borrowed computer.
        trusted_only: Said<bool> = default("false");
        /// Shown only at providers where the account, or this device of it, has been before; needs `[lists] provider`. A copy of both cookies is then worth nothing elsewhere, and about one customer in ten who comes from somewhere new sees nothing there either.
        known_providers_only: Said<bool> = default("false");
        /// Still good when all sessions of an account were reported as revoked and nothing else was: for a day on which everybody's are. Otherwise a revocation voids the passes of an account.
        outlives_revocation: Said<bool> = default("false");
    }
}
