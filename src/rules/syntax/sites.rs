//! `[[site]]`: some hosts, what serves them, and who may read what Weir answers itself from elsewhere.

use super::files::Text;
use super::forms::Many;
use super::table::{Said, table};
use super::written::{Host, Origin, PlainPath};

table! {
    /// A site: some hosts, and what serves them.
    SiteFile("a site") {
        /// The hosts that it answers for, without port; `*.shop.example` stands for all below.
        hosts: Many<Said<Host>> = required;
        /// The upstream of every path that `paths` does not name.
        upstream: Text = required;
        /// Upstreams of some paths; the longest prefix wins.
        paths: Vec<PrefixFile> = optional;
        /// Who may read the answers that Weir makes itself from another origin.
        cors: CorsFile = optional;
    }
}

table! {
    /// Some paths of a site.
    PrefixFile("a path of a site") {
        /// How the path begins.
        prefix: Said<PlainPath> = required;
        /// The upstream that serves it.
        upstream: Text = required;
    }
}

table! {
    /// Cross-origin reading of Weir's own answers.
    CorsFile("cors") {
        /// Origins, exact.
        origins: Many<Said<Origin>> = required;
        /// Whether a browser may send cookies along.
        credentials: Said<bool> = default("false");
    }
}
