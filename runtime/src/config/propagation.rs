//! How trace contexts get from one service to another.

use super::env::Env;

/// `STROBE_PROPAGATION`: see [`Propagation`]; default `auto`.
pub const PROPAGATION: &str = "STROBE_PROPAGATION";

/// What is done so that a request's trace goes on where it arrives. What the request itself says counts in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Propagation {
    /// Whatever this machine allows.
    #[default]
    Auto,
    /// Both ends of a connection on this machine are brought together. Nothing is written into a program.
    Correlate,
    /// Requests get a `traceparent` where they have none and the kernel lets probes write.
    Write,
    /// Nothing.
    Off,
}

impl Propagation {
    const NAMES: [(&'static str, Self); 4] =
        [("auto", Self::Auto), ("correlate", Self::Correlate), ("write", Self::Write), ("off", Self::Off)];

    pub(super) fn from_env(env: &mut Env<'_>) -> Self {
        let Some(text) = env.text(PROPAGATION) else { return Self::default() };
        let known = Self::NAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
        if known.is_none() {
            env.warn(PROPAGATION, &format!("is {text:?}, not one of auto, correlate, write, off"));
        }
        known.map(|(_, propagation)| *propagation).unwrap_or_default()
    }

    /// Whether both ends of a connection are brought together.
    pub fn correlates(self) -> bool {
        matches!(self, Self::Auto | Self::Correlate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_way_is_warned_about_and_ignored() {
        for (text, expected, warnings) in [
            ("", Propagation::Auto, 0),
            ("OFF", Propagation::Off, 0),
            ("correlate", Propagation::Correlate, 0),
            ("write", Propagation::Write, 0),
            ("none", Propagation::Auto, 1),
        ] {
            let get = |name: &str| (name == PROPAGATION).then(|| text.into());
            let mut env = Env::new(&get);
            assert_eq!(Propagation::from_env(&mut env), expected, "{text}");
            assert_eq!(env.warnings.len(), warnings, "{text}: {:?}", env.warnings);
        }
    }
}
