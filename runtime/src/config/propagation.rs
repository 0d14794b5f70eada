//! By which carriers trace contexts go from one service to the next.

use super::env::Env;

/// `STROBE_PROPAGATION`: [`Propagation`]; default `auto`.
pub const PROPAGATION: &str = "STROBE_PROPAGATION";

/// Which carriers are wanted. What the wire carries already is read whatever is said here (`OTEL_PROPAGATORS`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Propagation {
    /// What costs no byte: the ends of a connection on this host are put together. Writing is asked for by name until it has been tried by millions
    /// of requests.
    #[default]
    Auto,
    /// Nothing is written: the ends of a connection on this host are put together.
    Correlate,
    /// The context is written into requests, and nothing else is tried.
    Write,
    /// None.
    Off,
}

const WORDS: [(&str, Propagation); 4] = [
    ("auto", Propagation::Auto),
    ("correlate", Propagation::Correlate),
    ("write", Propagation::Write),
    ("off", Propagation::Off),
];

impl Propagation {
    pub(super) fn from_env(env: &mut Env<'_>) -> Self {
        let Some(text) = env.text(PROPAGATION) else { return Self::default() };
        let known = WORDS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
        if known.is_none() {
            env.warn(PROPAGATION, &format!("is {text:?}, none of auto, correlate, write, off"));
        }
        known.map_or_else(Self::default, |(_, propagation)| *propagation)
    }

    /// Whether both ends of a connection on this host are put together.
    pub fn correlates(self) -> bool {
        matches!(self, Self::Auto | Self::Correlate)
    }

    /// Whether contexts are written into requests where the kernel lets probes write.
    pub fn writes(self) -> bool {
        matches!(self, Self::Write)
    }

    /// As it is written.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(_, propagation)| *propagation == self).map_or("", |(word, _)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_in_any_case_and_others_warned_about() {
        for (text, expected, writes) in [
            ("", Propagation::Auto, false),
            ("auto", Propagation::Auto, false),
            ("Correlate", Propagation::Correlate, false),
            ("WRITE", Propagation::Write, true),
            ("off", Propagation::Off, false),
        ] {
            let get = |_: &str| Some(text.into());
            let mut env = Env::new(&get);
            let propagation = Propagation::from_env(&mut env);
            assert_eq!((propagation, propagation.writes()), (expected, writes), "{text}");
            assert!(env.warnings.is_empty(), "{:?}", env.warnings);
        }
        let get = |_: &str| Some("none".into());
        let mut env = Env::new(&get);
        assert_eq!(Propagation::from_env(&mut env), Propagation::Auto);
        assert!(env.warnings[0].contains(PROPAGATION), "{:?}", env.warnings);
    }
}
