//! What a Plan's words are called for people.

use analyzer::plan::{
    Claim, Code, Cost, Field, Finding, Library, MapImplementation, Severity, Status, Verdict, VersionMatch,
    When, Witness,
};
use anstyle::{AnsiColor, Style};

/// A library's verdict; of one that is not traced yet, its status.
pub fn verdict(library: &Library) -> (&'static str, Style) {
    match (library.status, library.verdict) {
        (Status::Recorded, _) => ("recorded", AnsiColor::Cyan.on_default()),
        (Status::Custom, Verdict::Ready) => ("custom", AnsiColor::Cyan.on_default()),
        (Status::Instrumented, Verdict::Ready) => ("ready", AnsiColor::Green.on_default()),
        (_, Verdict::Partial) => ("partial", AnsiColor::Yellow.on_default()),
        (_, Verdict::Refused) => ("refused", AnsiColor::Red.on_default()),
    }
}
/// Where a version stands, as a sentence has it.
pub fn matched(version_match: VersionMatch) -> &'static str {
    match version_match {
        VersionMatch::Exact => "the database has this very version",
        VersionMatch::Between => "it lies between two versions of the database",
        VersionMatch::Outside => "it lies outside the versions of the database",
        VersionMatch::Unknown => "the database knows nothing of it",
    }
}

/// The same as one word, where it is worth one.
pub fn doubt(version_match: VersionMatch) -> &'static str {
    match version_match {
        VersionMatch::Exact => "",
        VersionMatch::Between => " (between)",
        VersionMatch::Outside => " (outside)",
        VersionMatch::Unknown => " (unknown)",
    }
}

/// When a site is reached.
pub fn when(when: When) -> &'static str {
    match when {
        When::Entry => "entry",
        When::Exit => "exit",
        When::AfterCall => "after call",
        When::Call => "call",
    }
}

/// What a probe there costs.
pub fn cost(cost: Cost) -> &'static str {
    match cost {
        Cost::Emulated => "emulated",
        Cost::Stepped => "stepped",
    }
}

/// Who knows a field.
pub fn witness(witness: Witness) -> &'static str {
    match witness {
        Witness::Types => "types",
        Witness::Dwarf => "DWARF",
        Witness::Database => "database",
        Witness::Args => "arguments",
    }
}

/// How a map is kept.
pub fn implementation(map: Option<MapImplementation>) -> &'static str {
    match map {
        Some(MapImplementation::Swiss) => "swiss",
        Some(MapImplementation::Hmap) => "hmap",
        None => "not found",
    }
}

/// What follows from a finding.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Refusal => "refused",
        Severity::Loss => "loss",
        Severity::Note => "note",
    }
}

/// A field's offset; where witnesses dispute it, what each of them says.
pub fn offset(field: &Field) -> String {
    match field.offset {
        Some(offset) => offset.to_string(),
        None if field.disputed.is_empty() => "-".to_owned(),
        None => dispute(&field.disputed),
    }
}

/// `120 types / 128 database`; of witnesses that agree in the offset the types: `*int types / int database`.
fn dispute(claims: &[Claim]) -> String {
    let first = claims.first().and_then(|claim| claim.offset);
    let same_offset = claims.iter().all(|claim| claim.offset == first);
    let said = |claim: &Claim| match (claim.offset, &claim.kind) {
        (None, _) => "absent".to_owned(),
        (Some(_), Some(kind)) if same_offset => kind.clone(),
        (Some(offset), _) => offset.to_string(),
    };
    let sides: Vec<String> = claims.iter().map(|c| format!("{} {}", said(c), witness(c.witness))).collect();
    sides.join(" / ")
}

/// Why a library is refused, as short as it can be said: the kind of the worst finding, and what it is about, of which the
/// folders before the package are left out.
pub fn short(finding: &Finding) -> String {
    let subject = finding.subject.as_str();
    let name = if subject.contains(' ') { subject } else { subject.rsplit('/').next().unwrap_or(subject) };
    match finding.code {
        Code::NotTracedYet => "not traced yet".to_owned(),
        code => format!("{code}: {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(witness: Witness, offset: Option<u64>, kind: &str) -> Claim {
        Claim { witness, offset, kind: offset.map(|_| kind.to_owned()) }
    }

    #[test]
    fn a_dispute_shows_both_sides() {
        use Witness::{Database, Dwarf, Types};
        let offsets = [claim(Types, Some(120), "int"), claim(Database, Some(128), "int")];
        assert_eq!(dispute(&offsets), "120 types / 128 database");
        let absent = [claim(Types, None, ""), claim(Dwarf, Some(8), "int")];
        assert_eq!(dispute(&absent), "absent types / 8 DWARF");
        let kinds = [claim(Types, Some(8), "struct {}"), claim(Database, Some(8), "*int")];
        assert_eq!(dispute(&kinds), "struct {} types / *int database");
    }
}
