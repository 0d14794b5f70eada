//! What the tests of a package say of themselves.

use std::collections::{BTreeMap, BTreeSet};

/// A test's name, with those of the tests that it is part of, and PASS, FAIL or SKIP.
pub type Verdicts = BTreeMap<String, String>;

/// `-test.v=test2json` has this in front of each line that is the framework's own: what a test prints cannot be taken for one, and
/// what it prints without an end of line does not hide one.
const MARK: char = '\x16';

/// What stands in the output.
pub fn read(said: &[String]) -> Verdicts {
    // `\x16--- PASS: TestServeFile/h2 (0.01s)`, behind blanks if it is part of another.
    let verdict = |line: &str| {
        let (verdict, rest) = line.trim_start().strip_prefix("--- ")?.split_once(": ")?;
        let is_one = ["PASS", "FAIL", "SKIP"].contains(&verdict);
        is_one.then(|| (rest.split(' ').next().unwrap_or_default().to_owned(), verdict.to_owned()))
    };
    said.iter().flat_map(|line| line.split(MARK).skip(1)).filter_map(verdict).collect()
}

/// Which of these failed.
pub fn failed(verdicts: &Verdicts) -> Vec<&String> {
    verdicts.iter().filter(|(_, verdict)| *verdict == "FAIL").map(|(test, _)| test).collect()
}

/// Runs of the same tests that have to come out alike.
#[derive(Debug, Default)]
pub struct Runs(Vec<Verdicts>);

impl Runs {
    /// One more.
    pub fn add(&mut self, run: Verdicts) {
        self.0.push(run);
    }

    /// A run like the first one in which this test has failed, and so have those that it is part of.
    pub fn add_failed(&mut self, test: &str) {
        let mut run = self.0.first().cloned().unwrap_or_default();
        let ends = test.match_indices('/').map(|(at, _)| at).chain([test.len()]);
        for name in ends.filter_map(|end| test.get(..end)) {
            run.insert(name.to_owned(), "FAIL".to_owned());
        }
        self.0.push(run);
    }

    /// The tests that some run has and others have not, or that came out one way and the other.
    pub fn unstable(&self) -> Vec<&String> {
        let is_unstable = |test: &&String| {
            let mut verdicts = self.0.iter().map(|run| run.get(*test));
            let first = verdicts.next();
            verdicts.any(|other| Some(other) != first)
        };
        self.names().into_iter().filter(is_unstable).collect()
    }

    /// The tests that came out alike in all these runs, and otherwise or not at all in another; and those that only the other has.
    pub fn others(&self, run: &Verdicts) -> Vec<String> {
        let unstable = self.unstable();
        let first = self.0.first();
        let names = self.names().into_iter().chain(run.keys()).collect::<BTreeSet<_>>();
        let is_other = |test: &&&String| {
            !unstable.contains(*test) && first.and_then(|first| first.get(**test)) != run.get(**test)
        };
        let say = |test: &String| format!("{test}: {}", run.get(test).map_or("not run", String::as_str));
        names.iter().filter(is_other).map(|test| say(test)).collect()
    }

    fn names(&self) -> BTreeSet<&String> {
        self.0.iter().flat_map(BTreeMap::keys).collect()
    }
}
