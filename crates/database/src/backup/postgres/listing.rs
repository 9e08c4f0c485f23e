//! The list of what an archive holds, without what a restore finds in its place.

use std::collections::BTreeSet;

/// What is in the database when its own objects are gone.
#[derive(Debug, Default)]
pub(super) struct TocEntries {
    /// Extensions by name.
    pub(super) extensions: BTreeSet<String>,
    /// Schemas in which extensions live.
    pub(super) schemas: BTreeSet<String>,
    /// Tables and sequences that belong to an extension, each as `schema name`.
    pub(super) members: BTreeSet<String>,
    /// Event triggers of others.
    pub(super) triggers: BTreeSet<String>,
    /// All roles: the last word of a line is the owner, and names may hold blanks.
    pub(super) roles: BTreeSet<String>,
}

/// The lines of `pg_restore --list` that are to be restored.
///
/// `CREATE EXTENSION IF NOT EXISTS` would do no harm, but the comment on an extension that somebody else
/// owns is refused, and the rows of its tables would come a second time.
pub(super) fn without(list: &str, kept: &TocEntries) -> String {
    list.lines()
        .filter(|line| !is_kept(line, kept))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The extensions that an archive makes.
pub(super) fn extensions(list: &str) -> Vec<&str> {
    list.lines()
        .filter_map(|line| entry(line)?.strip_prefix("EXTENSION - "))
        .map(str::trim_end)
        .collect()
}

fn is_kept(line: &str, kept: &TocEntries) -> bool {
    let Some(entry) = entry(line) else {
        return false;
    };
    let names = |kind: &str, names: &BTreeSet<String>| {
        entry.strip_prefix(kind).is_some_and(|rest| {
            names.iter().any(|name| {
                rest.strip_prefix(name.as_str())
                    .and_then(|owner| owner.strip_prefix(' ').or(owner.is_empty().then_some("")))
                    .is_some_and(|owner| owner.is_empty() || kept.roles.contains(owner))
            })
        })
    };
    names("EXTENSION - ", &kept.extensions)
        || names("COMMENT - EXTENSION ", &kept.extensions)
        || names("SCHEMA - ", &kept.schemas)
        || names("EVENT TRIGGER - ", &kept.triggers)
        || names("TABLE DATA ", &kept.members)
        || names("SEQUENCE SET ", &kept.members)
}

/// `215; 1259 16391 TABLE public authors owner` without its numbers.
fn entry(line: &str) -> Option<&str> {
    let (number, rest) = line.split_once("; ")?;
    number.parse::<u32>().ok()?;
    let mut words = rest.splitn(3, ' ');
    words.next()?.parse::<u64>().ok()?;
    words.next()?.parse::<u64>().ok()?;
    words.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
;
; Archive created at 2026-11-21
7; 2615 16385 SCHEMA - ext rollback
8; 2615 16386 SCHEMA - ext more rollback
2; 3079 16387 EXTENSION - hstore 
3380; 0 0 COMMENT - EXTENSION hstore 
3; 3079 16388 EXTENSION - postgis_topology 
215; 1259 16391 TABLE public authors app owner
3370; 0 16391 TABLE DATA ext kinds rollback
3371; 0 16392 TABLE DATA public authors app owner
";

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_what_is_there_already_is_left_out() {
        let kept = TocEntries {
            extensions: set(&["hstore", "plpgsql"]),
            schemas: set(&["ext"]),
            members: set(&["ext kinds"]),
            triggers: set(&[]),
            roles: set(&["rollback", "app owner"]),
        };
        let restored: Vec<String> = without(LIST, &kept)
            .lines()
            .filter_map(|line| entry(line).map(str::to_owned))
            .collect();
        assert_eq!(
            restored,
            [
                "SCHEMA - ext more rollback",
                "EXTENSION - postgis_topology ",
                "TABLE public authors app owner",
                "TABLE DATA public authors app owner",
            ]
        );
        assert_eq!(without(LIST, &TocEntries::default()), LIST);
    }

    #[test]
    fn the_extensions_of_an_archive_are_known_by_their_entries() {
        assert_eq!(extensions(LIST), ["hstore", "postgis_topology"]);
    }
}
