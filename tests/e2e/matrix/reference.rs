//! What the matrix is held against: the twin's symbol table (by the `object` crate) and its disassembly (by objdump).

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use object::{Object as _, ObjectSymbol as _, SymbolKind};

/// The functions of a symbol table.
pub struct Symbols(HashMap<u64, String>);

impl Symbols {
    /// Reads Go's functions: between `runtime.text` and `runtime.etext`, with a size.
    pub fn read(file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file)?;
        let object = object::File::parse(bytes.as_slice())?;
        let bound = |name: &str| object.symbols().find(|s| s.name() == Ok(name)).map(|s| s.address());
        let (text, etext) =
            (bound("runtime.text").context("text")?, bound("runtime.etext").context("etext")?);
        let mut found = HashMap::new();
        for symbol in object.symbols().filter(|s| s.kind() == SymbolKind::Text && s.size() > 0) {
            let name = symbol.name()?;
            // The build id stands in the text, but is no function.
            let is_mark = matches!(name, "runtime.text" | "runtime.etext" | "go:buildid" | "go.buildid");
            let is_go = (text..etext).contains(&symbol.address()) && !is_mark;
            if is_go {
                found.insert(symbol.address(), name.to_owned());
            }
        }
        ensure!(found.len() > 1000, "only {} functions in the symbol table", found.len());
        Ok(Symbols(found))
    }

    /// Address and name of each.
    pub fn functions(&self) -> impl Iterator<Item = (u64, &str)> {
        self.0.iter().map(|(at, name)| (*at, name.as_str()))
    }
}

/// A disassembly: mnemonic and operands by address.
pub struct Listing {
    lines: BTreeMap<u64, (String, String)>,
    arm64: bool,
}

impl Listing {
    /// Runs objdump.
    pub fn read(file: &Path, arch: &str) -> Result<Self> {
        let arm64 = arch == "arm64";
        let program = if arm64 { "aarch64-linux-gnu-objdump" } else { "objdump" };
        let mut objdump = Command::new(program);
        objdump.args(["-d", "--no-show-raw-insn", "-w", "-j", ".text"]).arg(file);
        let out = objdump.output().with_context(|| format!("run {program} (binutils)"))?;
        ensure!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8_lossy(&out.stdout);
        let lines = text.lines().filter_map(|line| {
            let (at, rest) = line.split_once(":\t")?;
            let at = u64::from_str_radix(at.trim(), 16).ok()?;
            let (name, operands) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
            Some((at, (name.to_owned(), operands.trim().to_owned())))
        });
        Ok(Listing { lines: lines.collect(), arm64 })
    }

    fn between(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, &str, &str)> {
        self.lines.range(start..end).map(|(at, (name, operands))| (*at, name.as_str(), operands.as_str()))
    }

    /// Whether an instruction begins there.
    pub fn is_instruction(&self, vaddr: u64) -> bool {
        self.lines.contains_key(&vaddr)
    }

    /// Every return.
    pub fn returns(&self, start: u64, end: u64) -> Vec<u64> {
        let is_return = |name: &str, operands: &str| name == "ret" && operands.is_empty();
        self.between(start, end).filter(|(_, n, o)| is_return(n, o)).map(|(at, ..)| at).collect()
    }

    /// Whether a jump without a condition leads out of the function, or to where a register says.
    pub fn leaves_by_jump(&self, start: u64, end: u64) -> bool {
        self.between(start, end).any(|(_, name, operands)| {
            // `ret x1` jumps to where x1 says.
            let by_ret = name == "ret" && !operands.is_empty();
            let jumps = if self.arm64 { matches!(name, "b" | "br") || by_ret } else { name == "jmp" };
            let target = operands.split_whitespace().next().and_then(|t| u64::from_str_radix(t, 16).ok());
            jumps && target.is_none_or(|t| !(start..end).contains(&t))
        })
    }

    /// Whether a jump of the function leads there: a probe would be hit more than once per call.
    pub fn is_jumped_to(&self, start: u64, end: u64, vaddr: u64) -> bool {
        self.between(start, end).any(|(_, name, operands)| {
            let jumps = if self.arm64 {
                matches!(name, "b" | "cbz" | "cbnz" | "tbz" | "tbnz") || name.starts_with("b.")
            } else {
                name.starts_with('j')
            };
            // The target is the last operand that is a bare address; a symbol or a comment may follow it.
            let code = operands.split("//").next().unwrap_or_default();
            let mut words =
                code.split([' ', ',', '\t']).filter(|w| !w.is_empty() && !w.starts_with(['<', '#']));
            let hex = |w: &str| u64::from_str_radix(w.strip_prefix("0x").unwrap_or(w), 16).ok();
            jumps && words.any(|w| hex(w) == Some(vaddr))
        })
    }

    /// The site that the rules name: behind the stack check the `push %rbp`, else the check's own jump, else the first
    /// instruction.
    pub fn entry(&self, start: u64, end: u64, framed: bool) -> Option<u64> {
        let checks = self.check(start, end);
        if !framed {
            return self.is_instruction(start).then_some(start);
        }
        let behind = checks.map_or_else(|| self.behind_load_of_g(start, end), |(_, next)| Some(next))?;
        let (name, operands) = self.lines.get(&behind).map(|(n, o)| (n.as_str(), o.as_str()))?;
        if !self.arm64 && name == "push" && operands == "%rbp" {
            return Some(behind);
        }
        Some(checks.map_or(start, |(jump, _)| jump))
    }

    /// What follows the load of g with which a wrapper for assembly begins; else the start. The load is `mov %fs:…,%r14`, in a
    /// PIE behind a `mov $-8,%r14` (go-binary-format.md (g)).
    fn behind_load_of_g(&self, start: u64, end: u64) -> Option<u64> {
        let mut lines = self.between(start, end);
        let (first, _, operands) = lines.next()?;
        if operands.contains("%fs:") {
            return lines.next().map(|(next, ..)| next);
        }
        let load = lines.next().filter(|_| operands.starts_with("$0x") && operands.ends_with(",%r14"));
        match load {
            Some((_, _, operands)) if operands.contains("%fs:") => lines.next().map(|(next, ..)| next),
            _ => Some(first),
        }
    }

    /// The jump to `morestack` and what follows it: a compare with the guard at 16 or 24 of g, within the first lines.
    fn check(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        let mut compared = false;
        let mut lines = self.between(start, end).take(9).peekable();
        let mut last = None;
        while let Some((at, name, operands)) = lines.next() {
            let guard = if self.arm64 {
                operands.contains("[x28, #16]") || operands.contains("[x28, #24]")
            } else {
                operands.contains("0x10(%r14)") || operands.contains("0x18(%r14)")
            };
            compared |= guard;
            let jumps = matches!(name, "jbe" | "b.ls" | "b.plast");
            if compared && jumps {
                last = Some((at, lines.peek().map(|(next, ..)| *next)?));
                break;
            }
        }
        last
    }
}
