//! Variables of the environment, looked up; and what is wrong with them.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

/// Looks variables up and collects warnings.
pub(super) struct Env<'a> {
    get: &'a dyn Fn(&str) -> Option<OsString>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Env<'a> {
    /// Nothing is wrong yet.
    pub(super) fn new(get: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self { get, warnings: Vec::new() }
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match (self.get)(name)?.into_string() {
            Ok(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Err(_) => {
                self.warn(name, "is not UTF-8");
                None
            }
        }
    }

    pub(super) fn warn(&mut self, name: &str, why: &str) {
        self.warnings.push(format!("{name} {why}; it is ignored"));
    }

    pub(super) fn number<N: FromStr>(
        &mut self,
        name: &str,
        valid: impl Fn(&N) -> bool,
        what: &str,
    ) -> Option<N> {
        let text = self.text(name)?;
        let number = text.parse().ok().filter(valid);
        if number.is_none() {
            self.warn(name, &format!("is {text:?}, not {what}"));
        }
        number
    }

    pub(super) fn millis(&mut self, name: &str) -> Option<Duration> {
        self.number(name, |_: &u32| true, "a number of milliseconds")
            .map(|ms| Duration::from_millis(u64::from(ms)))
    }

    pub(super) fn list(&mut self, name: &str) -> Option<Vec<String>> {
        let text = self.text(name)?;
        let items: Vec<String> =
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect();
        (!items.is_empty()).then_some(items)
    }

    /// `true` or `false`, in any case; unset is false.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.switch(name).unwrap_or(false)
    }

    /// The same, where it matters whether it is set.
    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        let text = self.text(name)?;
        let value =
            [("true", true), ("false", false)].into_iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
        if value.is_none() {
            self.warn(name, &format!("is {text:?}, neither true nor false"));
        }
        value.map(|(_, value)| value)
    }
}
