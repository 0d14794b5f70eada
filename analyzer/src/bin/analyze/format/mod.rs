//! What is printed for eyes: [`lines`], one for each library; [`details`], all that a Plan knows of it. [`text`] and [`table`]
//! keep both inside of the terminal's [`Width`].

pub mod details;
pub mod lines;
pub mod table;
pub mod text;
mod width;
pub mod words;

use anstyle::Style;
pub use width::Width;

/// For names.
pub const BOLD: Style = Style::new().bold();
