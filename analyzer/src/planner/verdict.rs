//! What was found wrong, and the verdict that follows.

use crate::plan::{Status, Verdict};

/// Findings about one library, worst first.
#[derive(Debug, Default)]
pub(super) struct Findings {
    refusals: Vec<String>,
    losses: Vec<String>,
    notes: Vec<String>,
}

impl Findings {
    /// Something without which the library is not touched.
    pub fn refuse(&mut self, why: String) {
        push(&mut self.refusals, why);
    }

    /// The same, when there is such a thing.
    pub fn refuse_if(&mut self, why: Option<String>) {
        why.into_iter().for_each(|why| self.refuse(why));
    }

    /// Something required or not is missing; `gives` is what will be lost.
    pub fn lack(&mut self, required: bool, gives: Option<&str>, why: String) {
        if required {
            return self.refuse(why);
        }
        push(&mut self.losses, format!("without {}: {why}", gives.unwrap_or("an optional part")));
    }

    /// Something worth knowing.
    pub fn note(&mut self, what: String) {
        push(&mut self.notes, what);
    }

    /// The verdict and its reason.
    pub fn verdict(self, status: Status) -> (Verdict, Option<String>) {
        let join = |lines: Vec<String>| (!lines.is_empty()).then(|| lines.join("; "));
        if status == Status::Recorded {
            let why = "its layouts are recorded, but this version of strobe does not trace it yet";
            let rest = join(self.refusals).map(|r| format!("; {r}")).unwrap_or_default();
            return (Verdict::Refused, Some(format!("{why}{rest}")));
        }
        match (join(self.refusals), join(self.losses)) {
            (Some(refusals), _) => (Verdict::Refused, Some(refusals)),
            (None, Some(losses)) => (Verdict::Partial, Some(losses)),
            (None, None) => (Verdict::Ready, join(self.notes)),
        }
    }
}

fn push(lines: &mut Vec<String>, line: String) {
    if !lines.contains(&line) {
        lines.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides() {
        let mut findings = Findings::default();
        findings.note("stepped".into());
        findings.lack(false, Some("http.route"), "no Pattern".into());
        findings.lack(true, None, "no Method".into());
        let (verdict, reason) = findings.verdict(Status::Instrumented);
        assert_eq!((verdict, reason.as_deref()), (Verdict::Refused, Some("no Method")));
    }

    #[test]
    fn recorded_is_never_ready() {
        let (verdict, reason) = Findings::default().verdict(Status::Recorded);
        assert_eq!(verdict, Verdict::Refused);
        assert!(reason.unwrap_or_default().contains("recorded"));
    }
}
