//! `offsetgen compare FILE`: another program's table against the database.
//!
//! A figure counts where that very version was built, on either architecture: it is equal or it differs. Of the others it is said
//! why there is nothing to compare. Which of two is right, `offsetgen verify` shows: it builds the version again and reads its DWARF.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Result, ensure};
use offsets::{ARCHITECTURES, Database, Version};

use super::figures::{Field, built, folded, said};
use super::tables::{Claim, Table};
use crate::cli::CompareOptions;
use crate::data::folder;
use crate::output;

/// So many fields of which the same is said are named, more are counted.
const NAMED: usize = 4;

/// What comes of one claim; the words are the same for claims that are told together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Differs(String),
    Equal,
    Unknown(&'static str),
}

/// True when something could be compared and nothing differs.
pub fn run(options: &CompareOptions) -> Result<bool> {
    let table = Table::read(&options.file)?;
    let own = options.data.as_deref().map(folder::database).transpose()?;
    let database = own.as_ref().unwrap_or_else(|| Database::embedded());
    let claims = table.claims(database);
    let verdicts: Vec<Verdict> = claims.iter().map(|claim| judge(database, claim)).collect();
    let count = |is: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| is(verdict)).count();
    let equal = count(|verdict| *verdict == Verdict::Equal);
    let differ = count(|verdict| matches!(verdict, Verdict::Differs(_)));
    let mut text = lines(&claims, &verdicts);
    let unknown = claims.len() - equal - differ;
    let _ = writeln!(text, "{} figures: {equal} equal, {differ} differ, {unknown} not ours", claims.len());
    text += &proofs(database, &claims, &verdicts);
    output::print(&text)?;
    ensure!(equal + differ > 0, "{}: no figure of it is in the database", options.file.display());
    Ok(differ == 0)
}

fn judge(database: &Database, claim: &Claim) -> Verdict {
    let Claim { field, version, offset } = claim;
    let found = ARCHITECTURES.map(|arch| (arch, built(field.look_up(database, version, arch))));
    let known = found.iter().filter_map(|(arch, offset)| offset.map(|offset| (*arch, offset)));
    let known: Vec<(&str, Option<u64>)> = known.collect();
    if known.is_empty() {
        return Verdict::Unknown(why(database, field, version));
    }
    if known.iter().all(|(_, own)| own == offset) {
        return Verdict::Equal;
    }
    // Where the architectures agree, and where one alone was built, it is one word.
    if known.iter().all(|(_, own)| Some(own) == known.first().map(|(_, first)| first)) {
        return Verdict::Differs(known.first().map_or_else(String::new, |(_, own)| said(*own)));
    }
    let ours: Vec<String> = known.iter().map(|(arch, own)| format!("{} on {arch}", said(*own))).collect();
    Verdict::Differs(ours.join(", "))
}

/// Why the database has no figure of that version's own.
fn why(database: &Database, field: &Field, version: &str) -> &'static str {
    let Some(document) = database.document(&field.owner) else { return "the module is not recorded" };
    let Some(record) = document.structs.get(&field.type_name) else { return "the struct is not recorded" };
    if !record.fields.contains_key(&field.name) {
        return "no recorded version has the field";
    }
    let mut built = document.versions.iter().map(|tested| Version::parse(&field.owner, &tested.version));
    let version = Version::parse(&field.owner, version);
    if version.is_some() && built.any(|one| one == version) {
        return "another Go or dependency moves it, or the version does not reach the struct";
    }
    if field.owner == field.module {
        "the version is not recorded"
    } else {
        "it is another module's, which has no such version recorded"
    }
}

/// What is said alike of versions of one field that follow one another in the table.
struct Group<'a> {
    claim: &'a Claim,
    verdict: &'a Verdict,
    versions: Vec<String>,
}

fn groups<'a>(claims: &'a [Claim], verdicts: &'a [Verdict]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (claim, verdict) in claims.iter().zip(verdicts).filter(|(_, verdict)| **verdict != Verdict::Equal) {
        let alike = |group: &&mut Group<'_>| {
            let offsets = group.claim.offset == claim.offset || matches!(verdict, Verdict::Unknown(_));
            group.verdict == verdict && group.claim.field == claim.field && offsets
        };
        match groups.last_mut().filter(alike) {
            Some(group) => group.versions.push(claim.version.clone()),
            None => groups.push(Group { claim, verdict, versions: vec![claim.version.clone()] }),
        }
    }
    groups
}

/// A line for what differs, field by field, and then for what is not ours: fields of which the same is said share one.
fn lines(claims: &[Claim], verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    let mut unknown: BTreeMap<(&str, &str, String), Vec<String>> = BTreeMap::new();
    for Group { claim, verdict, versions } in groups(claims, verdicts) {
        let (field, versions) = (&claim.field, folded(&versions));
        match verdict {
            Verdict::Differs(ours) => {
                let (field, theirs) = (field.spelled(), said(claim.offset));
                let _ = writeln!(text, "differs   {field} {versions}: theirs {theirs}, ours {ours}");
            }
            Verdict::Unknown(why) => {
                let name = format!("{}.{}", field.type_name, field.name);
                unknown.entry((&field.module, why, versions)).or_default().push(name);
            }
            Verdict::Equal => {}
        }
    }
    for ((module, why, versions), names) in unknown {
        let what = if names.len() > NAMED { format!("{} fields", names.len()) } else { names.join(", ") };
        let _ = writeln!(text, "not ours  {module} {versions}: {why}: {what}");
    }
    text
}

/// The commands that build what differs again and read its DWARF.
fn proofs(database: &Database, claims: &[Claim], verdicts: &[Verdict]) -> String {
    let mut modules: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (claim, _) in claims.iter().zip(verdicts).filter(|(_, v)| matches!(v, Verdict::Differs(_))) {
        modules.entry(&claim.field.owner).or_default().insert(&claim.version);
    }
    let mut text = String::new();
    for (module, versions) in modules {
        let wanted: Vec<Version> = versions.iter().filter_map(|text| Version::parse(module, text)).collect();
        let recorded = database.document(module).into_iter().flat_map(|document| &document.versions);
        let recorded = recorded.map(|tested| tested.version.as_str());
        let named = recorded.filter(|text| Version::parse(module, text).is_some_and(|v| wanted.contains(&v)));
        let versions = named.collect::<Vec<_>>().join(",");
        let _ = writeln!(text, "ours, from DWARF: offsetgen verify --only {module} --versions {versions}");
    }
    text
}
