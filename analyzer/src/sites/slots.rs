//! Where a function with deferred calls keeps its results while they run.
//!
//! Deferred calls may change results, so such a function stores its results to its frame, makes the calls, and loads them
//! from there into the result registers:
//! ```text
//!  mov  %rax,0x1d0(%rsp)     results to their slots
//!  mov  %rbx,0x1d8(%rsp)
//!  call *%rcx                a deferred call: its entry sees the slots at 8 bytes more, for the return address (amd64)
//!  mov  0x1d0(%rsp),%rax     ┐
//!  mov  0x1d8(%rsp),%rbx     │ an epilogue
//!  add  $0x5b8,%rsp          │
//!  pop  %rbp; ret            ┘
//! ```
//! (Where it has too many, or is compiled without optimisations, `runtime.deferreturn` makes them, and they see another frame.)
//! The same epilogue follows the call of `runtime.deferreturn`, which each such function has once, for panics that were recovered.
//! Its offset stands in the function's record; so one epilogue is always known, and every other behind an indirect call has to
//! say the same. Returns that no deferred call comes before take their results from where they like, and say nothing.

use super::code::Code;
use super::step::{Abi, Flow, Past, Registers, Step, Value};
use crate::image::Image;

/// Why the slots cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The function's record names no call of `runtime.deferreturn`.
    #[error("it defers nothing")]
    NoDefer,
    /// There are bytes that are no instruction.
    #[error("its code cannot be decoded")]
    Undecoded,
    /// What follows a deferred call does not load the results from the stack.
    #[error("a return behind a deferred call does not load its results from the stack")]
    NotFromStack,
    /// No return is behind a deferred call: `runtime.deferreturn` makes those, from a frame of its own, as in a build without optimisations.
    #[error("it does not make its deferred calls itself")]
    NotItsOwn,
    /// Two returns load them from different slots.
    #[error("its returns load their results from different places")]
    Disagree,
}

/// Distances of the result words from the stack pointer, as a deferred function sees them when it is entered. `deferreturn` is the
/// offset of the call of `runtime.deferreturn`, as the function's record has it.
pub fn results(image: &Image<'_>, code: &Code<'_>, deferreturn: u64) -> Result<Vec<i64>, Trouble> {
    let abi = super::abi(image.arch);
    if deferreturn == 0 {
        return Err(Trouble::NoDefer);
    }
    let depth = code.pcsp.iter().map(|run| run.value).max().unwrap_or(0);
    let (mut past, mut behind) = (Past::default(), Behind::Other);
    let (mut slots, mut is_known, mut is_its_own): (Option<Vec<i64>>, bool, bool) = (None, false, false);
    let (mut runtime, mut direct) = (None, Vec::new());
    for step in super::steps(image.arch, code) {
        match step.flow {
            Flow::Undecoded => return Err(Trouble::Undecoded),
            Flow::Next => {}
            Flow::Indirect(_) => behind = Behind::Indirect,
            Flow::Call(to) if is_at(&step, deferreturn) => {
                behind = Behind::Deferreturn;
                runtime = Some(to);
            }
            Flow::Call(to) => behind = Behind::Direct(to),
            Flow::Return if let Behind::Direct(to) = behind => {
                if let Epilogue::Slots(found) = epilogue(abi, code, depth, &past) {
                    direct.push((to, found));
                }
                behind = Behind::Other;
            }
            Flow::Return if behind != Behind::Other => {
                is_its_own |= behind == Behind::Indirect;
                match (epilogue(abi, code, depth, &past), &slots) {
                    (Epilogue::Slots(found), Some(known)) if found != *known => {
                        return Err(Trouble::Disagree);
                    }
                    (Epilogue::Slots(found), _) => {
                        is_known |= behind == Behind::Deferreturn;
                        slots = Some(found);
                    }
                    // What an ordinary call returned is returned.
                    (Epilogue::Untouched, _) if behind == Behind::Indirect => {}
                    (Epilogue::Untouched | Epilogue::Other, _) => return Err(Trouble::NotFromStack),
                }
                behind = Behind::Other;
            }
            _ => behind = Behind::Other,
        }
        past.push(step);
    }
    let slots = slots.filter(|_| is_known).ok_or(Trouble::NotFromStack)?;
    // A deferred function that the compiler knows by name is called by name. What an ordinary call returned may be returned from
    // other words, and says nothing.
    is_its_own |= direct.iter().any(|(to, found)| Some(*to) != runtime && *found == slots);
    if !is_its_own {
        return Err(Trouble::NotItsOwn);
    }
    Ok(slots.iter().map(|slot| slot + abi.pushed).collect())
}

/// What stands before a return on a straight line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// A call through a register, as deferred calls are; others are too.
    Indirect,
    /// The call of `runtime.deferreturn`.
    Deferreturn,
    /// A call of the function at that offset, as deferred calls of a function known by its name are; others are too.
    Direct(u64),
    Other,
}

/// Whether the record means this call: on both architectures the linker writes down where the instruction begins.
fn is_at(call: &Step, deferreturn: u64) -> bool {
    call.offset as u64 == deferreturn
}

/// Where a return has its results from.
enum Epilogue {
    /// Words of the stack, in the order of the result registers.
    Slots(Vec<i64>),
    /// No result register was written behind the call.
    Untouched,
    Other,
}

fn epilogue(abi: &Abi, code: &Code<'_>, depth: i64, past: &Past) -> Epilogue {
    let results = Registers::of(abi.results.iter().copied());
    let (mut slots, mut known) = (vec![None; abi.results.len()], Registers::default());
    for step in past.back().take_while(|step| step.flow == Flow::Next) {
        // Only the last write of a register counts.
        for (slot, &register) in slots.iter_mut().zip(abi.results) {
            if !step.writes.has(register) || known.has(register) {
                continue;
            }
            let mut sets = step.sets.iter().flatten();
            let loaded = sets.find_map(|&(to, value)| match value {
                Value::StackWord(distance) if to == register => Some(distance),
                _ => None,
            });
            // Once the frame is going, distances mean something else.
            if loaded.is_none() || code.depth(step.offset) != Some(depth) {
                return Epilogue::Other;
            }
            *slot = loaded;
        }
        known = known.with(step.writes);
    }
    if !known.meets(results) {
        return Epilogue::Untouched;
    }
    let count = slots.iter().take_while(|slot| slot.is_some()).count();
    let apart = slots.iter().skip(count).any(Option::is_some);
    if count == 0 || apart { Epilogue::Other } else { Epilogue::Slots(slots.into_iter().flatten().collect()) }
}

#[cfg(test)]
mod tests;
