//! The site that only those calls reach whose result is not nil.
//!
//! ```text
//!  call callee            ┐
//!  mov  %rax,0x68(%rsp)   │ nothing in it writes a result register, nothing may jump into it
//!  test %rax,%rax         │
//!  je   good              ┘
//!  mov  %rbx,…              the site: nothing else may lead here
//! ```
//! Since it is for what goes wrong, an instruction that the kernel steps will do.

use super::question::{MAX_DISTANCE, Question, Trouble};
use super::scan::Scan;
use crate::image::Image;
use crate::sites;
use crate::sites::code::{Code, Instruction};
use crate::sites::site::{Site, When};
use crate::sites::step::{Flow, Registers, Step};
use crate::sites::tables;

/// The sites, where the first word of the result is in that register.
pub fn not_nil_after_calls(
    image: &Image<'_>,
    code: &Code<'_>,
    asked: &Question<'_>,
    register: u8,
) -> Result<Vec<Site>, Trouble> {
    let abi = sites::abi(image.arch);
    let kept = abi.kept(asked.results).with(Registers::of([register]));
    let steps: Vec<Step> = sites::steps(image.arch, code).collect();
    let mut scan = Scan::new(code, asked);
    let mut found = Vec::new();
    for (nth, step) in steps.iter().enumerate() {
        if scan.is_wanted(step)? {
            found.push(way(&steps, nth, kept, register).ok_or(Trouble::NotFollowed)?);
        }
        scan.past.push(*step);
    }
    let scratch = Registers::of(abi.scratch);
    let jumps = sites::jump_targets(image.arch, code);
    let indirect = sites::indirect_jumps(image.arch, code);
    let switched = tables::targets(image, code, &indirect).ok_or(Trouble::UnknownJump)?;
    let mut sites = Vec::new();
    for way in &found {
        let site = steps.get(way.site).ok_or(Trouble::NotFollowed)?;
        let before = way.site.checked_sub(1).and_then(|nth| steps.get(nth));
        let leads_in = |to: &&usize| (way.start..=way.branch).contains(*to) || **to == site.offset;
        let by_jumps = jumps.iter().filter(leads_in).count();
        let (expected, falls_in) = match way.jumps {
            true => (1, before.is_none_or(|step| !ends(step.flow))),
            false => (0, false),
        };
        if by_jumps != expected || falls_in || switched.iter().any(|to| leads_in(&to)) {
            return Err(Trouble::JumpedInto);
        }
        // Not where a preempted goroutine would come back to.
        let cost = site.cost.filter(|_| site.flow != Flow::Next || !site.writes.meets(scratch));
        let instruction =
            Instruction { offset: site.offset, len: site.len, cost: cost.ok_or(Trouble::NotFollowed)? };
        sites.push(code.site(image, instruction, When::AfterCall).ok_or(Trouble::NotFollowed)?);
    }
    if sites.is_empty() { Err(Trouble::NoCall) } else { Ok(sites) }
}

/// From a call to where it goes on with a result that is not nil.
struct Way {
    /// Where the call returns to.
    start: usize,
    branch: usize,
    /// Which step the site is.
    site: usize,
    /// Whether the branch jumps there; else it is just behind.
    jumps: bool,
}

/// The branch behind a call that depends on its result, on a straight line.
fn way(steps: &[Step], call: usize, kept: Registers, register: u8) -> Option<Way> {
    let start = steps.get(call)?;
    let start = start.offset + start.len;
    for (nth, step) in steps.iter().enumerate().skip(call + 1).take(MAX_DISTANCE) {
        if let (Some(nil), Flow::Branch(to)) = (step.nil, step.flow)
            && nil.register == register
        {
            let to = usize::try_from(to).ok()?;
            let jumps = !nil.is_taken;
            let site =
                if jumps { steps.binary_search_by_key(&to, |step| step.offset).ok()? } else { nth + 1 };
            return Some(Way { start, branch: step.offset, site, jumps });
        }
        if step.flow != Flow::Next || step.writes.meets(kept) {
            return None;
        }
    }
    None
}

/// Whether nothing goes on behind it.
fn ends(flow: Flow) -> bool {
    matches!(flow, Flow::Jump(_) | Flow::Away | Flow::Return | Flow::Stop)
}
