//! The ids that `--require` and `--explain` take.

use offsets::catalog::Entry;

/// How alike two ids must be for one to be named where the other was meant; 1 is the same.
const NEAR: f64 = 0.8;
/// Most ids that are named.
const MAX_NEAR: usize = 3;

/// The entries whose libraries can be told to be in a binary; the others are there for the database alone.
pub fn listed(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    entries.iter().filter(|entry| !entry.present.is_empty())
}

/// Whether these entries have that id; else which ids are near.
pub fn must_be_known(entries: &[Entry], id: &str) -> Result<(), String> {
    if listed(entries).any(|entry| entry.id == id) {
        return Ok(());
    }
    let near = match near(id, listed(entries).map(|entry| entry.id.as_str())).join(", ") {
        none if none.is_empty() => String::new(),
        ids => format!(" (near: {ids})"),
    };
    Err(format!("this version of strobe knows no such library{near}; `analyze libraries` lists all"))
}

/// The ids that are most like the one that was typed.
fn near<'a>(typed: &str, ids: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let typed = typed.to_lowercase();
    let likeness = |id: &str| {
        let id = id.to_lowercase();
        // The end of a path, or one word of it.
        let part = !typed.is_empty() && (id.contains(&typed) || typed.contains(&id));
        if part { 1.0 } else { strsim::jaro_winkler(&typed, &id) }
    };
    let mut found: Vec<(f64, &str)> = ids.map(|id| (likeness(id), id)).filter(|(l, _)| *l >= NEAR).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.len().cmp(&b.1.len())));
    found.dedup_by_key(|(_, id)| *id);
    found.into_iter().take(MAX_NEAR).map(|(_, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_and_parts_find_the_id() {
        let ids =
            ["net/http.server", "net/http.server.h2", "net/http.client", "google.golang.org/grpc.server"];
        let near = |typed| near(typed, ids.into_iter());
        assert_eq!(near("net/http.srever")[0], "net/http.server");
        assert_eq!(near("grpc"), ["google.golang.org/grpc.server"]);
        assert_eq!(near("GRPC"), ["google.golang.org/grpc.server"]);
        assert_eq!(near("net/http"), ["net/http.server", "net/http.client", "net/http.server.h2"]);
        assert!(near("nonsense").is_empty(), "{:?}", near("nonsense"));
        assert!(near("").is_empty());
    }

    #[test]
    fn what_no_plan_speaks_of_is_not_known() {
        let entries = offsets::catalog::entries();
        assert_eq!(must_be_known(entries, "net/http.server"), Ok(()));
        let silent = entries.iter().find(|e| e.present.is_empty()).expect("such an entry");
        assert!(must_be_known(entries, &silent.id).is_err());
        let why = must_be_known(entries, "net/http").expect_err("a part");
        let named = ["near: ", "net/http.server", "net/http.client"].iter().all(|word| why.contains(word));
        assert!(named, "{why}");
    }
}
