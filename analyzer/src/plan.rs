//! The [`Plan`]: what can be instrumented in one file, at which sites, with which offsets, and who vouches for each.
//!
//! This is the contract between `analyze`, which prints it, and the agent, which acts on it. Its JSON is stable: keys are
//! added, never renamed or removed without a new `schema_version` (docs/plan-json.md). Addresses are decimal numbers;
//! `vaddr` is an address of the file's own address space (`p_vaddr`), `file_offset` a position in the file.
//!
//! Not here: how a Plan is made (`planner`), and anything about processes.

mod convert;
mod finding;
mod types;
mod value;
mod witness;

pub use crate::arch::Arch;
pub use finding::{Code, Finding, Severity};
use serde::{Deserialize, Serialize};
pub use types::{Closures, Descriptor, Held, Size, SizeClaim, Variable};
pub use value::{Value, Word};
pub use witness::Witness;

/// The version of the JSON that this module reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that `analyze` knows of one file, and all that the agent needs of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Version of the program that made the Plan.
    pub tool_version: String,
    /// Digest of the offset database it was made with (`sha256:…`).
    pub database: String,
    /// The path as the user gave it, lossily decoded.
    pub file: String,
    /// The machine the file is for.
    pub arch: Arch,
    /// As the binary says it (`go1.26.8`), with its experiments if it names any.
    pub go_version: Option<String>,
    /// Build identifiers.
    pub build_id: BuildId,
    /// The file that the DWARF is in, when it is not in the binary itself.
    #[serde(default)]
    pub debug_file: Option<String>,
    /// Where the type data begins, from which descriptors count the offsets of their names.
    #[serde(default)]
    pub types_vaddr: Option<u64>,
    /// Main module first, then the dependencies in the order of the build info.
    pub modules: Vec<Module>,
    /// One per catalog entry whose library is present in the binary.
    pub libraries: Vec<Library>,
}

/// The identifiers that a linker left in the notes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildId {
    /// Go's own (`.note.go.buildid`).
    pub go: Option<String>,
    /// GNU's, in hex (`.note.gnu.build-id`).
    pub gnu: Option<String>,
}

/// A module of the build info.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Import path.
    pub path: String,
    /// Version, `(devel)` included.
    pub version: String,
    /// The module that really stands in for it (`replace`).
    pub replaced_by: Option<Replacement>,
}

/// The right-hand side of a `replace`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// Import path or folder.
    pub path: String,
    /// Version; empty or `(devel)` for a folder.
    pub version: String,
}

/// One instrumented (or recorded) library in this binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// The catalog entry's id (`net/http.server`).
    pub id: String,
    /// The Go module that owns it; `std` is the standard library.
    pub module: String,
    /// Its version in this binary, without a leading `go` for `std`.
    pub version: Option<String>,
    /// Where that version stands in the database.
    pub version_match: VersionMatch,
    /// Whether the agent of this version traces it.
    pub status: Status,
    /// Whether this binary can be instrumented for it.
    pub verdict: Verdict,
    /// Why, when the verdict is not `ready`; else what is worth knowing, or nothing. It is made of the messages of those
    /// findings that decide the verdict, for people: programs compare the findings' codes.
    pub reason: Option<String>,
    /// All that there is to say of it, the worst first.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// The functions to probe, by role.
    pub functions: Vec<Function>,
    /// The struct fields to read.
    pub fields: Vec<Field>,
    /// The itabs to compare with.
    pub itabs: Vec<Itab>,
    /// The layouts of the maps to walk.
    pub maps: Vec<MapLayout>,
    /// Sizes of types, to step through slices of them.
    #[serde(default)]
    pub sizes: Vec<Size>,
    /// Descriptors of types, to recognise what an `interface {}` holds.
    #[serde(default)]
    pub types: Vec<Descriptor>,
    /// Variables whose addresses are wanted.
    #[serde(default)]
    pub variables: Vec<Variable>,
    /// Closures, to recognise what a function value is.
    #[serde(default)]
    pub closures: Vec<Closures>,
}

/// Where a version stands in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionMatch {
    /// This very version was built and recorded.
    Exact,
    /// It lies between two recorded versions.
    Between,
    /// It is older or newer than all that is recorded.
    Outside,
    /// The binary does not say its version, or the module was never recorded.
    Unknown,
}

/// What the agent of this version does with a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It traces it.
    Instrumented,
    /// Its layouts are recorded; tracing comes later.
    Recorded,
    /// The user's own entry (`--catalog`): it is planned, and no spans are made of it yet.
    Custom,
}

/// Whether a library can be instrumented in this binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every required and every optional part was found and agrees.
    Ready,
    /// All that is required is there; the reason names what will be missing.
    Partial,
    /// It will not be touched; the reason says why.
    Refused,
}

/// A function to probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its linker name (`net/http.serverHandler.ServeHTTP`).
    pub name: String,
    /// Its role in the catalog entry (`start`).
    pub role: String,
    /// What the catalog calls the alternative that was taken for that role, where it gives it a name.
    #[serde(default)]
    pub site: Option<String>,
    /// First instruction.
    pub vaddr: u64,
    /// In bytes, padding included.
    pub size: u64,
    /// Where to put probes for that role.
    pub sites: Vec<Site>,
    /// What the catalog wants to have read there, and where it lies: the same at each of the sites.
    #[serde(default)]
    pub values: Vec<Value>,
    /// The function whose body the compiler copied into this one, when the sites lie in that copy.
    #[serde(default)]
    pub inlined: Option<String>,
    /// Functions that the return address is compared with at the sites: it lies in the one that called, or in none of them.
    #[serde(default)]
    pub callers: Vec<Caller>,
    /// At the entry of a deferred function: where the function that deferred it keeps its results.
    #[serde(default)]
    pub result_slots: Option<ResultSlots>,
}

/// A function that may have called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Its name as the catalog has it.
    pub name: String,
    /// First instruction.
    pub vaddr: u64,
    /// In bytes, padding included.
    pub size: u64,
}

/// Where a function with deferred calls keeps its results while they run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultSlots {
    /// The function; it is among the callers, and the slots are its own only where the return address lies in it.
    pub function: String,
    /// Per word of its results, in order: the distance from the stack pointer at the site.
    pub slots: Vec<i64>,
}

/// One probe site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Address of the instruction.
    pub vaddr: u64,
    /// Its position in the file, which is where the kernel wants the probe.
    pub file_offset: u64,
    /// The instruction's bytes in hex: the agent compares them before it attaches.
    pub bytes: String,
    /// When it is reached.
    pub when: When,
    /// What the kernel does with it.
    pub cost: Cost,
    /// Behind a call of `runtime.selectgo`: the distance of the first case (`runtime.scase`) from the stack pointer.
    #[serde(default)]
    pub select_cases: Option<i64>,
}

/// When a site is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Once per call, before an argument register is changed.
    Entry,
    /// At a return, results in place.
    Exit,
    /// After the return of a given callee, its results in place.
    AfterCall,
    /// At the call of a given callee, its arguments in place.
    Call,
}

/// How the floor kernel (5.8) runs the instruction under a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cost {
    /// In the kernel, one trap (about 1 µs).
    Emulated,
    /// Out of line, two traps (4 µs, up to 20 µs in a virtual machine).
    Stepped,
}

/// One struct field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Defining type with its full import path (`net/http.Request`).
    #[serde(rename = "type")]
    pub type_name: String,
    /// Field name.
    pub field: String,
    /// The field's Go type with full import paths (`*net/url.URL`).
    pub kind: String,
    /// Bytes from the start of the struct; null when nobody knows it.
    pub offset: Option<u64>,
    /// All who vouch for it; empty when nobody does.
    pub witnesses: Vec<Witness>,
    /// What each witness says, when they disagree with one another or with the catalog; else empty.
    #[serde(default)]
    pub disputed: Vec<Claim>,
}

/// What one witness says of a disputed field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who says it.
    pub witness: Witness,
    /// Bytes from the start of the struct; null when it knows the struct, and it has no such field.
    pub offset: Option<u64>,
    /// The field's Go type; null likewise.
    pub kind: Option<String>,
}

/// A static itab: the pair of words by which an interface value names its concrete type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Itab {
    /// Interface type (`net/http.ResponseWriter`).
    pub interface: String,
    /// Concrete type (`*net/http.response`).
    pub concrete: String,
    /// Its address; at run time the load bias is added.
    pub vaddr: Option<u64>,
    /// Where a value of a concrete type of `context.Context` or `net.Conn` holds what leads on; null of other interfaces, and where there is
    /// no such field.
    #[serde(default)]
    pub holds: Option<Held>,
}

/// How a map type is laid out in this binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapLayout {
    /// The type as Go spells it (`map[string][]string`).
    #[serde(rename = "type")]
    pub type_name: String,
    /// Which implementation; null when it could not be established.
    pub implementation: Option<MapImplementation>,
    /// Offset of slot 0's key in a bucket or group.
    pub keys_offset: u64,
    /// Distance from one key to the next.
    pub key_stride: u64,
    /// Offset of slot 0's element.
    pub elems_offset: u64,
    /// Distance from one element to the next.
    pub elem_stride: u64,
    /// Size of a bucket (its overflow pointer is the last word) or of a group.
    pub group_size: u64,
    /// Whether a slot has a pointer to the key in place of the key, as it is of keys longer than 128 bytes.
    #[serde(default)]
    pub indirect_keys: bool,
    /// The same of elements.
    #[serde(default)]
    pub indirect_elems: bool,
}

/// Go's two map implementations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MapImplementation {
    /// `runtime.hmap`: buckets with overflow chains (up to Go 1.23, and `GOEXPERIMENT=noswissmap`).
    Hmap,
    /// `internal/runtime/maps.Map`: groups with control words (Go 1.24 and later).
    Swiss,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_of_before_findings_and_disputes_still_reads() {
        let field = r#"{"type": "a.B", "field": "c", "kind": "int", "offset": 8, "witnesses": ["types"]}"#;
        let field: Field = serde_json::from_str(field).expect("an old field");
        assert!(field.disputed.is_empty());
        let library = r#"{"id": "a", "module": "a", "version": null, "version_match": "unknown", "status": "recorded",
            "verdict": "refused", "reason": "x", "functions": [], "fields": [], "itabs": [], "maps": []}"#;
        let library: Library = serde_json::from_str(library).expect("an old library");
        assert!(library.findings.is_empty());
    }
}
