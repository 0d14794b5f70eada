//! What the user types. Every option that several commands share is defined once.
//!
//! Deliberately not here: defaults that need the machine (folders, the proxy); the commands find those out.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::memory::LEAST;

/// Builds strobe's offset database, and answers from it.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the offset database: download, verify, compile, read DWARF, merge
    Build(BuildOptions),
    /// Record what was published since the last run, and touch nothing else
    Update(UpdateOptions),
    /// Build recorded versions again from nothing and compare
    Verify(VerifyOptions),
    /// Join folders of data, as `build --shard` leaves them
    Merge(MergeOptions),
    /// Say in words what changed between two folders of data
    Diff(DiffOptions),
    /// Say how much of what exists is recorded, and why each hole is one
    Report(ReportOptions),
    /// Make sure that a Go toolchain is in the cache, verified, and print its GOROOT
    Toolchain(ToolchainOptions),
    /// Look fields up in the embedded database
    Lookup(LookupOptions),
    /// Write the database as a table that another program reads
    Export(ExportOptions),
    /// Hold another program's table against the database
    Compare(CompareOptions),
}

/// Where things are kept and how long the network is waited for.
#[derive(Debug, Clone, Args)]
pub struct CacheOptions {
    /// Folder for toolchains, modules and compiled packages [default: $XDG_CACHE_HOME/strobe or ~/.cache/strobe]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Give up on a connection that makes no progress for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
}

/// `offsetgen build`.
#[derive(Debug, Clone, Args)]
pub struct BuildOptions {
    /// Only these Go modules (`std` is the standard library)
    #[arg(long, value_name = "MODULE", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Only these versions of the one module that `--only` names; `1.22` is the newest patch of Go 1.22 [default: all]
    #[arg(long, value_name = "VERSION", value_delimiter = ',', requires = "only")]
    pub versions: Vec<String>,
    /// A file of known versions, `MODULE VERSION` a line, beside what the proxy lists
    #[arg(long, value_name = "FILE")]
    pub versions_from: Option<PathBuf>,
    /// Architectures
    #[arg(long, value_name = "ARCH", value_delimiter = ',', default_values = offsets::ARCHITECTURES, value_parser = offsets::ARCHITECTURES)]
    pub arch: Vec<String>,
    /// Compilations at a time [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// What the compilers may use of memory together; fewer compilations at a time if they do not fit [default: half of
    /// the machine's]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(LEAST..))]
    pub memory: Option<u64>,
    /// Folder of the database
    #[arg(long, value_name = "DIR", default_value = "offsets/data")]
    pub out: PathBuf,
    /// A folder of catalog files in place of the embedded ones
    #[arg(long, value_name = "DIR")]
    pub catalog: Option<PathBuf>,
    /// Compile modules with these Go releases, the newest first and the others where it fails [default: the newest
    /// patches]
    #[arg(long, value_name = "VERSION", value_delimiter = ',')]
    pub go: Vec<String>,
    /// Only the I-th of N equal parts of each module's versions; `merge` joins them
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub shard: Option<(usize, usize)>,
    /// Begin nothing more after so many minutes, and write what there is
    #[arg(long, value_name = "MINUTES")]
    pub stop_after: Option<u64>,
    /// Remove each toolchain and what it compiled when it is no longer needed
    #[arg(long)]
    pub prune: bool,
    /// Take modules whose hash no checksum database vouches for; the record says so
    #[arg(long)]
    pub trust_on_first_use: bool,
    /// Leave out the builds of the standard library with Go's experiments
    #[arg(long)]
    pub no_experiments: bool,
    /// Only versions that no earlier run has tried
    #[arg(skip)]
    pub new_only: bool,
    #[command(flatten)]
    pub cache: CacheOptions,
}

/// `offsetgen update`.
#[derive(Debug, Clone, Args)]
pub struct UpdateOptions {
    #[command(flatten)]
    build: BuildOptions,
}

impl UpdateOptions {
    /// A build of what no earlier run has tried.
    pub fn into_build(self) -> BuildOptions {
        BuildOptions { new_only: true, ..self.build }
    }
}

/// `offsetgen verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyOptions {
    /// So many entries, chosen at random [default: all]
    #[arg(long, value_name = "N")]
    pub sample: Option<usize>,
    /// What the choice follows from; printed, so that it can be made again
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Only these Go modules
    #[arg(long, value_name = "MODULE", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Only these versions, as the database spells them
    #[arg(long, value_name = "VERSION", value_delimiter = ',')]
    pub versions: Vec<String>,
    /// Folder of the database
    #[arg(long, value_name = "DIR", default_value = "offsets/data")]
    pub data: PathBuf,
    /// A folder of catalog files in place of the embedded ones
    #[arg(long, value_name = "DIR")]
    pub catalog: Option<PathBuf>,
    /// Take modules whose hash no checksum database vouches for
    #[arg(long)]
    pub trust_on_first_use: bool,
    /// Remove each toolchain and what it compiled when it is no longer needed
    #[arg(long)]
    pub prune: bool,
    #[command(flatten)]
    pub cache: CacheOptions,
}

/// `offsetgen merge`.
#[derive(Debug, Clone, Args)]
pub struct MergeOptions {
    /// Folders of data
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,
    /// The folder that they are merged into; what it has stays
    #[arg(long, value_name = "DIR", default_value = "offsets/data")]
    pub out: PathBuf,
}

/// `offsetgen diff`.
#[derive(Debug, Clone, Args)]
pub struct DiffOptions {
    /// Folder of data
    pub old: PathBuf,
    /// Folder of data
    pub new: PathBuf,
}

/// `offsetgen report`.
#[derive(Debug, Clone, Args)]
pub struct ReportOptions {
    /// Folder of the database
    #[arg(long, value_name = "DIR", default_value = "offsets/data")]
    pub data: PathBuf,
    /// A file of known versions, `MODULE VERSION` a line: what the data knows nothing of is a hole
    #[arg(long, value_name = "FILE")]
    pub versions_from: Option<PathBuf>,
    /// Only these Go modules
    #[arg(long, value_name = "MODULE", value_delimiter = ',')]
    pub only: Vec<String>,
    /// A folder of catalog files in place of the embedded ones
    #[arg(long, value_name = "DIR")]
    pub catalog: Option<PathBuf>,
    /// Print one JSON object per module
    #[arg(long)]
    pub json: bool,
}

/// `offsetgen toolchain`.
#[derive(Debug, Clone, Args)]
pub struct ToolchainOptions {
    /// `1.22.12`, or `1.22` for its newest patch
    #[arg(value_name = "VERSION")]
    pub version: String,
    #[command(flatten)]
    pub cache: CacheOptions,
}

/// `offsetgen lookup`.
#[derive(Debug, Clone, Args)]
pub struct LookupOptions {
    /// Module path; `std` is the standard library
    #[arg(value_name = "MODULE")]
    pub module: String,
    /// Version of the module (`1.26.8` and `go1.26.8` for std)
    #[arg(value_name = "VERSION")]
    pub version: String,
    /// Fields, with the struct's full import path (`net/http.Request.Method`)
    #[arg(value_name = "TYPE.FIELD", required_unless_present = "functions", value_parser = parse_field)]
    pub fields: Vec<(String, String)>,
    /// A function, by its linker name (`net/http.(*conn).readRequest`): where its parameters and results lie; may be repeated
    #[arg(long = "function", value_name = "NAME")]
    pub functions: Vec<String>,
    /// Architecture
    #[arg(long, value_name = "ARCH", default_value = "amd64", value_parser = offsets::ARCHITECTURES)]
    pub arch: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// A folder of database files in place of the embedded ones
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `offsetgen export`.
#[derive(Debug, Clone, Args)]
pub struct ExportOptions {
    /// Whose table
    #[arg(long, value_enum)]
    pub format: Format,
    /// Only these Go modules (`std` is the standard library) [default: all]
    #[arg(long, value_name = "MODULE", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Only the fields that this table has, of the form `otel-auto` or `obi` [default: all that are recorded]
    #[arg(long, value_name = "FILE")]
    pub like: Option<PathBuf>,
    /// A folder of database files in place of the embedded ones
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// The forms of `offsetgen export`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `offset_results.json` of OpenTelemetry's Go auto-instrumentation
    OtelAuto,
    /// `offsets.json` of OpenTelemetry's eBPF instrumentation, and of Beyla
    Obi,
    /// JSON Lines: module, version, arch, type, field, offset, kind
    Flat,
}

/// `offsetgen compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareOptions {
    /// A table of the form `otel-auto` or `obi`, which is seen from the file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A folder of database files in place of the embedded ones
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `net/http.Request.Method` is the field `Method` of `net/http.Request`.
fn parse_field(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('.') {
        Some((owner, field))
            if !field.is_empty() && owner.rsplit('/').next().is_some_and(|last| last.contains('.')) =>
        {
            Ok((owner.to_owned(), field.to_owned()))
        }
        _ => Err("expected IMPORT/PATH.Type.Field, as in net/http.Request.Method".to_owned()),
    }
}

/// `2/5` is the second of five.
fn parse_shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    parts
        .filter(|(i, n): &(usize, usize)| *i >= 1 && i <= n)
        .ok_or_else(|| "expected I/N, as in 2/5".to_owned())
}
