//! The longest of many prefixes, in about as much time as the longest of few: what serves a path below a site.

/// Prefixes with a value each.
#[derive(Debug, Default)]
pub struct Prefixes<V>(Box<[Entry<V>]>);

/// Sorted by prefix, so that everything that begins alike stands together, the shortest first.
#[derive(Debug)]
struct Entry<V> {
    prefix: Box<str>,
    value: V,
    /// The longest other prefix that this one begins with.
    within: Option<usize>,
}

impl<V> Prefixes<V> {
    /// These prefixes, no two alike.
    pub(in crate::rules) fn new(mut all: Vec<(Box<str>, V)>) -> Self {
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let mut entries: Vec<Entry<V>> = Vec::with_capacity(all.len());
        for (prefix, value) in all {
            let mut within = entries.len().checked_sub(1);
            while let Some(entry) = within.and_then(|at| entries.get(at)) {
                if prefix.starts_with(&*entry.prefix) {
                    break;
                }
                within = entry.within;
            }
            entries.push(Entry { prefix, value, within });
        }
        Self(entries.into())
    }

    /// The value of the longest prefix of this text.
    pub fn longest(&self, text: &str) -> Option<&V> {
        // Between the longest prefix and the text stands only what begins with that prefix.
        let mut at = self.0.partition_point(|entry| &*entry.prefix <= text).checked_sub(1)?;
        loop {
            let entry = self.0.get(at)?;
            if text.starts_with(&*entry.prefix) {
                return Some(&entry.value);
            }
            at = entry.within?;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_prefix_serves() {
        let all = ["/", "/a/", "/a/b/", "/a/bb", "/c"].map(|prefix| (Box::from(prefix), prefix));
        let prefixes = Prefixes::new(all.to_vec());
        for (text, found) in [("/a/b/c", "/a/b/"), ("/a/bbb", "/a/bb"), ("/a/c", "/a/"), ("/b", "/"), ("/c", "/c")] {
            assert_eq!(prefixes.longest(text), Some(&found), "{text}");
        }
        assert_eq!(prefixes.longest("a"), None);
        assert_eq!(Prefixes::<()>::default().longest("/"), None);
    }

    proptest! {
        #[test]
        fn it_finds_what_looking_at_each_would(
            all in proptest::collection::btree_set("[ab/]{0,5}", 0..12),
            text in "[ab/]{0,8}",
        ) {
            let each = all.iter().filter(|prefix| text.starts_with(&***prefix)).max_by_key(|prefix| prefix.len());
            let prefixes = Prefixes::new(all.iter().map(|prefix| (Box::from(&**prefix), prefix)).collect());
            prop_assert_eq!(prefixes.longest(&text).copied(), each);
        }
    }
}
