//! What was found, and the verdict that follows.

use super::remedies::{Circumstances, remedy};
use crate::plan::{Code, Finding, Severity, Status, Verdict};

/// A finding before it is known what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matter {
    /// What kind of matter it is.
    pub code: Code,
    /// What it is about.
    pub subject: String,
    /// The matter in words.
    pub message: String,
    /// What helps, where that is not what helps against all of its kind.
    pub remedy: Option<&'static str>,
}

impl Matter {
    /// One matter.
    pub fn new(code: Code, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Matter { code, subject: subject.into(), message: message.into(), remedy: None }
    }

    /// The same with a remedy of its own.
    pub fn with(mut self, remedy: &'static str) -> Self {
        self.remedy = Some(remedy);
        self
    }
}

/// Findings about one library, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Findings {
    all: Vec<Finding>,
    circumstances: Circumstances,
}

impl Findings {
    /// None yet, about a library and a program of which this is known.
    pub fn under(circumstances: Circumstances) -> Self {
        Findings { all: Vec::new(), circumstances }
    }

    /// Something without which the library is not touched.
    pub fn refuse(&mut self, matter: Matter) {
        self.push(Severity::Refusal, None, matter);
    }

    /// The same, when there is such a thing.
    pub fn refuse_if(&mut self, matter: Option<Matter>) {
        matter.into_iter().for_each(|matter| self.refuse(matter));
    }

    /// Something required or not is missing; `gives` is what will be lost.
    pub fn lack(&mut self, required: bool, gives: Option<&str>, mut matter: Matter) {
        if required {
            return self.refuse(matter);
        }
        let gives = gives.unwrap_or("an optional part");
        matter.message = format!("without {gives}: {}", matter.message);
        self.push(Severity::Loss, Some(gives.to_owned()), matter);
    }

    /// Something worth knowing.
    pub fn note(&mut self, matter: Matter) {
        self.push(Severity::Note, None, matter);
    }

    fn push(&mut self, severity: Severity, loses: Option<String>, matter: Matter) {
        let Matter { code, subject, message, remedy } = matter;
        let remedy = remedy.or_else(|| self::remedy(code, self.circumstances)).map(str::to_owned);
        let finding = Finding { code, severity, subject, message, loses, remedy };
        if !self.all.contains(&finding) {
            self.all.push(finding);
        }
    }

    /// The verdict on a library of that name, its reason, and the findings, the worst first.
    pub fn verdict(mut self, id: &str, status: Status) -> (Verdict, Option<String>, Vec<Finding>) {
        if status == Status::Recorded {
            let why = "its layouts are recorded, but this version of strobe does not trace it yet";
            self.refuse(Matter::new(Code::NotTracedYet, id, why));
            // What decides for every binary stands before what is the matter with this one.
            self.all.rotate_right(1);
        }
        self.all.sort_by_key(|finding| finding.severity);
        let worst = self.all.first().map(|finding| finding.severity);
        let deciding = self.all.iter().filter(|finding| Some(finding.severity) == worst);
        let messages: Vec<&str> = deciding.map(|finding| finding.message.as_str()).collect();
        let reason = (!messages.is_empty()).then(|| messages.join("; "));
        let verdict = match worst {
            Some(Severity::Refusal) => Verdict::Refused,
            Some(Severity::Loss) => Verdict::Partial,
            Some(Severity::Note) | None => Verdict::Ready,
        };
        (verdict, reason, self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matter(message: &str) -> Matter {
        Matter::new(Code::NoWitness, "a.B.c", message)
    }

    #[test]
    fn the_worst_decides_and_nothing_is_dropped() {
        let mut findings = Findings::default();
        findings.note(matter("stepped"));
        findings.lack(false, Some("http.route"), matter("no Pattern"));
        findings.lack(true, None, matter("no Method"));
        findings.lack(true, None, matter("no Method"));
        findings.refuse(matter("no URL"));
        let (verdict, reason, all) = findings.verdict("x", Status::Instrumented);
        assert_eq!((verdict, reason.as_deref()), (Verdict::Refused, Some("no Method; no URL")));
        let messages: Vec<&str> = all.iter().map(|f| f.message.as_str()).collect();
        assert_eq!(messages, ["no Method", "no URL", "without http.route: no Pattern", "stepped"]);
        let loses: Vec<Option<&str>> = all.iter().map(|f| f.loses.as_deref()).collect();
        assert_eq!(loses, [None, None, Some("http.route"), None]);
    }

    #[test]
    fn losses_make_it_partial_and_notes_leave_it_ready() {
        let mut findings = Findings::default();
        assert_eq!(
            Findings::default().verdict("x", Status::Instrumented),
            (Verdict::Ready, None, Vec::new())
        );
        findings.note(matter("stepped"));
        let (verdict, reason, _) = findings.verdict("x", Status::Instrumented);
        assert_eq!((verdict, reason.as_deref()), (Verdict::Ready, Some("stepped")));
        let mut findings = Findings::default();
        findings.lack(false, None, matter("gone"));
        let (verdict, reason, _) = findings.verdict("x", Status::Instrumented);
        assert_eq!((verdict, reason.as_deref()), (Verdict::Partial, Some("without an optional part: gone")));
    }

    #[test]
    fn recorded_is_never_ready() {
        let mut findings = Findings::default();
        findings.refuse(matter("no URL"));
        let (verdict, reason, all) = findings.verdict("database/sql", Status::Recorded);
        assert_eq!((verdict, all[0].code), (Verdict::Refused, Code::NotTracedYet));
        assert_eq!(all[0].subject, "database/sql");
        assert!(reason.is_some_and(|reason| reason.ends_with("yet; no URL")));
    }

    #[test]
    fn each_finding_brings_the_remedy_of_its_kind() {
        for &code in Code::ALL {
            let mut findings = Findings::default();
            findings.refuse(Matter::new(code, "x", "y"));
            let (_, _, all) = findings.verdict("x", Status::Instrumented);
            assert_eq!(all[0].remedy.as_deref(), remedy(code, Circumstances::default()), "{code}");
        }
    }
}
