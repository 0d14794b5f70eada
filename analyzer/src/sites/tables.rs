//! Where a function's jumps through tables lead.
//!
//! Since 1.19 Go compiles a `switch` of eight cases and more to a jump through a table of addresses in read-only data:
//! ```text
//!  amd64   lea table(%rip),%rcx   …   jmp *(%rcx,%rax,8)
//!  arm64   adrp x1,table   add x1,x1,#…   …   ldr x27,[x1,x0,lsl #3]   br x27
//! ```
//! The register is loaded anywhere before the jump, so every table that a register is loaded with counts. No length is written
//! anywhere: a table ends where a word leads out of the function. What follows it may be another table of the same function,
//! whose entries then count for this one too: that is too many, never too few.

use super::code::Code;
use crate::image::Image;

const WORD: u64 = 8;
/// Most entries of all tables of a function; a file could let thousands of jumps share one long table.
const MAX_ENTRIES: usize = 1 << 16;

/// Jumps to addresses that the code does not say, by way of one register, with the tables that they may be read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndirectJump {
    /// Addresses that the jump's base register is loaded with in this function; none where it is no jump through a table.
    pub tables: Vec<u64>,
}

/// Jumps by their base registers, with the addresses that each register is loaded with. There may be any number of jumps by one register:
/// they count once.
pub fn with_tables<R: PartialEq + Copy>(bases: &[R], loads: &[(R, u64)]) -> Vec<IndirectJump> {
    let mut distinct: Vec<R> = Vec::new();
    for &base in bases {
        if !distinct.contains(&base) {
            distinct.push(base);
        }
    }
    let tables =
        |base: R| loads.iter().filter(|(register, _)| *register == base).map(|&(_, at)| at).collect();
    distinct.into_iter().map(|base| IndirectJump { tables: tables(base) }).collect()
}

/// Offsets from the function's entry that these jumps lead to; nothing where one of them leads nobody knows where.
pub fn targets(image: &Image<'_>, code: &Code<'_>, jumps: &[IndirectJump]) -> Option<Vec<usize>> {
    let mut tables: Vec<u64> = Vec::new();
    for jump in jumps {
        let own = jump.tables.iter().copied().filter(|&table| entry(image, code, table).is_some());
        let before = tables.len();
        tables.extend(own);
        if tables.len() == before {
            return None;
        }
    }
    tables.sort_unstable();
    tables.dedup();
    let mut out = Vec::new();
    for table in tables {
        let mut at = table;
        while let Some(target) = entry(image, code, at) {
            if out.len() >= MAX_ENTRIES {
                return None;
            }
            out.push(target);
            at = at.checked_add(WORD)?;
        }
    }
    Some(out)
}

/// The word at an address, if it leads into the function.
fn entry(image: &Image<'_>, code: &Code<'_>, at: u64) -> Option<usize> {
    let offset = usize::try_from(image.pointer(at)?.checked_sub(code.vaddr)?).ok()?;
    (offset < code.bytes.len()).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_kept_once_however_many_jumps_may_use_it() {
        let loads: Vec<(u8, u64)> = (0..3000).map(|i| (u8::try_from(i % 3).expect("small"), i)).collect();
        let jumps = with_tables(&[0, 1, 0, 4, 1].repeat(1000), &loads);
        assert_eq!(jumps.iter().map(|jump| jump.tables.len()).collect::<Vec<_>>(), [1000, 1000, 0]);
    }
}
