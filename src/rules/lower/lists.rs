//! Lists of addresses: where their files are.

use super::Lower;
use crate::rules::lists::{ListKind, ListLaw};
use crate::rules::syntax::lists::ListsFile;

impl Lower<'_> {
    /// The lists that are named.
    pub(super) fn lists(&self, file: Option<&ListsFile>) -> Vec<ListLaw> {
        let Some(file) = file else { return Vec::new() };
        let each = ListKind::ALL.into_iter().filter_map(|kind| {
            let list = match kind {
                ListKind::Provider => &file.provider,
                ListKind::Country => &file.country,
                ListKind::Tor => &file.tor,
                ListKind::Vpn => &file.vpn,
                ListKind::Datacentre => &file.datacentre,
                ListKind::Proxy => &file.proxy,
            };
            let list = list.given()?;
            Some(ListLaw {
                kind,
                path: self.sources.resolve(&list.file.given()?.value),
                stale_after: list.stale_after.given()?.value,
                most_change: list.most_change.given()?.0,
            })
        });
        each.collect()
    }
}
