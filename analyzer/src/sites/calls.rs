//! Sites at a call and behind it.
//!
//! A function's return can be seen where its caller goes on: at the first instruction behind the call that the kernel emulates, on
//! a straight line, with the result registers as the callee left them, and where no goroutine is set back to ([`super::step::Abi::scratch`]).
//! ```text
//!  call callee            ┐
//!  mov  %rax,0x68(%rsp)   │ the gap: nothing in it writes a result register, nothing may jump into it
//!  test %rbx,%rbx         │
//!  je   …                 ┘ the site
//! ```
//! A jump into the gap reaches the site without the call, and is refused; unless the catalog says that it means the same, as
//! where a compiler has merged what follows two calls:
//! ```text
//!  call *%rcx             ┐ the bridge: what jumps in comes from behind a call too, with its results in place
//!  jmp  gap               ┘
//! ```
//! Where only those calls are wanted whose result is not nil there is another site ([`not_nil`]).
//!
//! Which calls are meant is said by a [`Question`] and told apart in [`scan`].
//!
//! Deliberately not here: which functions are looked at, and what a catalog entry says of them (the planner).

mod not_nil;
mod question;
mod scan;

use std::ops::RangeInclusive;

pub use not_nil::not_nil_after_calls;
use question::MAX_DISTANCE;
pub use question::{Callees, Question, Trouble};
use scan::Scan;

use super::code::{Code, Instruction};
use super::site::{Cost, Site, When};
use super::step::{Flow, MAX_PAST, Past, Registers, Step, Value};
use super::tables;
use crate::image::Image;

/// Most jumps that come from behind another call into a gap.
const MAX_BRIDGES: usize = 256;

/// The `call` instructions themselves, arguments in place.
pub fn at_calls(image: &Image<'_>, code: &Code<'_>, asked: &Question<'_>) -> Result<Vec<Site>, Trouble> {
    let mut found = Vec::new();
    let mut scan = Scan::new(code, asked);
    for step in super::steps(image.arch, code) {
        if scan.is_wanted(&step)? {
            let cost = step.cost.ok_or(Trouble::NotFollowed)?;
            found.push(Instruction { offset: step.offset, len: step.len, cost });
        }
        scan.past.push(step);
    }
    let site = |&call: &Instruction| code.site(image, call, When::Call);
    match found.iter().map(site).collect::<Option<Vec<Site>>>() {
        None => Err(Trouble::NotFollowed),
        Some(sites) if sites.is_empty() => Err(Trouble::NoCall),
        Some(sites) => Ok(sites),
    }
}

/// The site behind each call. Where one call's return is seen at another's site, both share it.
pub fn after_calls(image: &Image<'_>, code: &Code<'_>, asked: &Question<'_>) -> Result<Vec<Site>, Trouble> {
    let mut gaps = gaps(image, code, asked)?;
    // To tell what every instruction does takes several times as long as to tell where jumps lead: it is asked for gaps that some lead into.
    let jumps = super::jump_targets(image.arch, code);
    let is_entered = jumps.iter().any(|&to| gap_at(&gaps, to).is_some());
    let bridges = if is_entered { bridges(image, code, asked, &mut gaps)? } else { Vec::new() };
    nothing_jumps_into(image, code, &jumps, &gaps, &bridges)?;
    let sites = gaps.iter().filter(|gap| !gap.is_shared).map(|gap| {
        let site = code.site(image, gap.site, When::AfterCall)?;
        Some(Site { select_cases: gap.cases.map(|(_, distance)| distance), ..site })
    });
    match sites.collect::<Option<Vec<Site>>>() {
        None => Err(Trouble::NotFollowed),
        Some(sites) if sites.is_empty() => Err(Trouble::NoCall),
        Some(sites) => Ok(sites),
    }
}

/// A call and the site behind it.
#[derive(Debug)]
struct Gap {
    /// Where the call returns to.
    start: usize,
    site: Instruction,
    /// Whether the call's return is seen at another call's site, where this one leads.
    is_shared: bool,
    /// For `selectgo`: behind which offset nothing may jump in, and how far from the stack pointer the cases are.
    cases: Option<(usize, i64)>,
}

impl Gap {
    /// The offsets to which a jump would miss the call, or what was made ready for it.
    fn range(&self) -> RangeInclusive<usize> {
        self.cases.map_or(self.start, |(behind, _)| behind + 1)..=self.site.offset
    }
}

/// The calls and their sites.
fn gaps(image: &Image<'_>, code: &Code<'_>, asked: &Question<'_>) -> Result<Vec<Gap>, Trouble> {
    let abi = super::abi(image.arch);
    let mut kept = abi.kept(asked.results);
    if asked.cases {
        kept = kept.with(Registers::of([abi.stack]));
    }
    let scratch = Registers::of(abi.scratch.filter(|_| !asked.repeats));
    let mut scan = Scan::new(code, asked);
    let (mut out, mut waiting): (Vec<Gap>, Option<Waiting>) = (Vec::new(), None);
    for step in super::steps(image.arch, code) {
        if let Some(call) = waiting.take() {
            match call.look_at(&step, kept, scratch, asked.stepped)? {
                Seen::Site(gap) => out.push(gap),
                Seen::Further(call) => waiting = Some(call),
            }
        }
        if scan.is_wanted(&step)? {
            let cases = if asked.cases { Some(cases(&scan.past, abi.results, abi.stack)?) } else { None };
            waiting = Some(Waiting { start: step.offset + step.len, distance: 0, first: None, cases });
        }
        scan.past.push(step);
    }
    match (waiting, out.is_empty()) {
        (Some(_), _) => Err(Trouble::NotFollowed),
        (None, true) => Err(Trouble::NoCall),
        (None, false) => Ok(out),
    }
}

/// A call whose site was not met yet.
struct Waiting {
    start: usize,
    distance: usize,
    /// The instruction just behind the call.
    first: Option<Instruction>,
    cases: Option<(usize, i64)>,
}

enum Seen {
    Site(Gap),
    Further(Waiting),
}

impl Waiting {
    fn look_at(
        mut self,
        step: &Step,
        kept: Registers,
        scratch: Registers,
        stepped: bool,
    ) -> Result<Seen, Trouble> {
        // Not where a preempted goroutine would come back to.
        let cost = step.cost.filter(|_| step.flow != Flow::Next || !step.writes.meets(scratch));
        let here = cost.map(|cost| Instruction { offset: step.offset, len: step.len, cost });
        if self.distance == 0 {
            self.first = here;
        }
        let site = if cost == Some(Cost::Emulated) {
            here
        } else if self.distance < MAX_DISTANCE && step.flow == Flow::Next && !step.writes.meets(kept) {
            self.distance += 1;
            return Ok(Seen::Further(self));
        } else {
            self.first.filter(|_| stepped)
        };
        let site = site.ok_or(Trouble::NotFollowed)?;
        Ok(Seen::Site(Gap { start: self.start, site, is_shared: false, cases: self.cases }))
    }
}

/// The stack address that was put into the first argument register for a call, and behind which offset.
fn cases(past: &Past, arguments: &[u8], stack: u8) -> Result<(usize, i64), Trouble> {
    let first = arguments.first().copied().unwrap_or_default();
    for step in past.back() {
        if step.flow != Flow::Next {
            break;
        }
        if step.writes.has(first) {
            let set = step.sets.iter().flatten().find(|(to, _)| *to == first);
            return match set {
                Some((_, Value::StackAddress(distance))) => Ok((step.offset, *distance)),
                _ => Err(Trouble::NoCases),
            };
        }
        if step.writes.has(stack) {
            break;
        }
    }
    Err(Trouble::NoCases)
}

/// From behind a call to the jump that leads into a gap.
type Bridge = RangeInclusive<usize>;

/// The jumps into gaps that come from behind a call with its results in place; any other is an error.
fn bridges(
    image: &Image<'_>,
    code: &Code<'_>,
    asked: &Question<'_>,
    gaps: &mut [Gap],
) -> Result<Vec<Bridge>, Trouble> {
    let kept = super::abi(image.arch).kept(asked.results);
    let (mut out, mut past) = (Vec::new(), Past::default());
    for step in super::steps(image.arch, code) {
        if let Flow::Jump(to) | Flow::Branch(to) = step.flow
            && usize::try_from(to).is_ok_and(|to| gap_at(gaps, to).is_some())
        {
            let start = if asked.also_reached { behind_call(&past, code, asked, kept) } else { None };
            let start = start.ok_or(Trouble::JumpedInto)?;
            // This may be the return of one of the calls: it is then seen where the jump leads. If it may also go on here, it
            // would be seen twice.
            if let Some(own) = gaps.iter_mut().find(|gap| gap.start == start) {
                if !matches!(step.flow, Flow::Jump(_)) || own.cases.is_some() {
                    return Err(Trouble::JumpedInto);
                }
                own.is_shared = true;
            }
            out.push(start..=step.offset);
            if out.len() > MAX_BRIDGES {
                return Err(Trouble::TooMany);
            }
        }
        past.push(step);
    }
    Ok(out)
}

/// Where the call returns to that the past ends behind, its results in place.
fn behind_call(past: &Past, code: &Code<'_>, asked: &Question<'_>, kept: Registers) -> Option<usize> {
    for step in past.back().take(MAX_PAST - 1) {
        let is_call = match step.flow {
            Flow::Next if !step.writes.meets(kept) => continue,
            Flow::Indirect(_) => true,
            Flow::Call(to) => (asked.is_compiled)(code.vaddr.wrapping_add(to)),
            _ => false,
        };
        return is_call.then_some(step.offset + step.len);
    }
    None
}

/// The gap that a jump to that offset leads into. They are in order; where one call is the site behind another, they touch.
fn gap_at(gaps: &[Gap], to: usize) -> Option<&Gap> {
    let next = gaps.partition_point(|gap| gap.site.offset < to);
    gaps.get(next).filter(|gap| gap.range().contains(&to))
}

/// An error if a gap or a bridge is entered by something else than its call, or its bridges.
fn nothing_jumps_into(
    image: &Image<'_>,
    code: &Code<'_>,
    jumps: &[usize],
    gaps: &[Gap],
    bridges: &[Bridge],
) -> Result<(), Trouble> {
    let on_bridge = |to: &usize| bridges.iter().any(|bridge| bridge.contains(to));
    let indirect = super::indirect_jumps(image.arch, code);
    let switched = tables::targets(image, code, &indirect).ok_or(Trouble::UnknownJump)?;
    if switched.iter().any(|to| gap_at(gaps, *to).is_some() || on_bridge(to)) || jumps.iter().any(on_bridge) {
        return Err(Trouble::JumpedInto);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
