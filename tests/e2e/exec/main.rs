//! `strobe exec` and `strobe features`: each signal reaches the command once, the command's surroundings are its own, and what
//! is missing is named.

mod gate;
mod harness;
mod privileges;
mod signals;
mod stop;
mod surroundings;
