//! Tells which calls of a function are those that a question is about.

use super::question::{Callees, Question, Trouble};
use crate::sites::code::Code;
use crate::sites::step::{Flow, Past, Registers, Step, Value};

/// Most calls of one callee in a function; each gets a probe.
const MAX_CALLS: usize = 4096;

/// Goes through a function and tells which calls are meant.
pub struct Scan<'q, 'c> {
    code: &'c Code<'c>,
    asked: &'c Question<'q>,
    /// What came before.
    pub past: Past,
    /// How many were meant.
    count: usize,
    /// Registers that hold the address of a function or a method table.
    constants: Registers,
}

impl<'q, 'c> Scan<'q, 'c> {
    /// Before the first step.
    pub fn new(code: &'c Code<'c>, asked: &'c Question<'q>) -> Self {
        Scan { code, asked, past: Past::default(), count: 0, constants: Registers::default() }
    }

    /// Whether this is one of the calls. To be asked of each step in turn, before it becomes a part of the past.
    pub fn is_wanted(&mut self, step: &Step) -> Result<bool, Trouble> {
        if step.flow == Flow::Undecoded {
            return Err(Trouble::Undecoded);
        }
        let counts = (self.asked.counts)(step.offset);
        let wanted = match (self.asked.callees, step.flow) {
            (Callees::Functions(list), Flow::Call(to) | Flow::Jump(to))
                if counts && list.contains(&self.code.vaddr.wrapping_add(to)) =>
            {
                // A function that calls itself begins again by a jump behind `morestack`.
                let again = matches!(step.flow, Flow::Jump(0));
                if matches!(step.flow, Flow::Jump(_)) && !again {
                    return Err(Trouble::TailCall);
                }
                !again
            }
            (Callees::Functions(_), _) => false,
            (wanted, Flow::Indirect(register)) if counts => self.called(register)?.is(wanted),
            (_, Flow::Call(to)) if counts && self.is_by_name(to) => {
                self.constants = Registers::default();
                true
            }
            (_, _) => {
                self.look_for_guard(step, counts)?;
                false
            }
        };
        if wanted {
            self.count += 1;
        }
        if self.count > MAX_CALLS { Err(Trouble::TooMany) } else { Ok(wanted) }
    }

    fn is_by_name(&self, to: u64) -> bool {
        self.asked.by_name.contains(&self.code.vaddr.wrapping_add(to))
    }

    /// What a call through a register calls: the register was loaded with a method table's word or a function value's, maybe by way of
    /// another register.
    fn called(&self, register: Option<u8>) -> Result<Indirect, Trouble> {
        let mut register = register.ok_or(Trouble::UnknownCall)?;
        for step in self.past.back().take_while(|step| step.flow == Flow::Next) {
            if !step.writes.has(register) {
                continue;
            }
            match step.sets.iter().flatten().find(|(to, _)| *to == register) {
                Some((_, Value::Word(distance))) => return Ok(Indirect(*distance)),
                Some((_, Value::Copy(from))) => register = *from,
                _ => break,
            }
        }
        Err(Trouble::UnknownCall)
    }

    /// Profiles make the compiler compare what would be called with what mostly is, and call that by name.
    fn look_for_guard(&mut self, step: &Step, counts: bool) -> Result<(), Trouble> {
        if counts && step.compares.meets(self.constants) {
            return Err(Trouble::Devirtualised);
        }
        // A call keeps no register.
        self.constants = match step.flow {
            Flow::Call(_) | Flow::Indirect(_) => Registers::default(),
            _ => self.constants.without(step.writes),
        };
        for (register, value) in step.sets.into_iter().flatten() {
            if let Value::Address(at) = value
                && (self.asked.is_guard)(at)
            {
                self.constants = self.constants.with(Registers::of([register]));
            }
        }
        Ok(())
    }
}

/// Where the called address was read: so many bytes from an itab, or from a function value.
struct Indirect(i64);

impl Indirect {
    fn is(&self, wanted: Callees<'_>) -> bool {
        match wanted {
            Callees::Functions(_) => false,
            Callees::Method(number) => self.0 == METHODS_AT + 8 * i64::from(number),
            Callees::Closure => self.0 == 0,
        }
    }
}

/// Where the first method's address is in an itab (`abi.ITab.Fun`: Inter, Type, Hash).
const METHODS_AT: i64 = 24;
