//! What reading any table of a catalog file needs: values with their spans, and errors that name file, line and key.

use toml::Spanned;

use super::error::CatalogError;
use super::range::Range;
use crate::printable::is_printable;
use crate::{Version, names};

/// A text of the file with its place.
pub(super) type Text = Spanned<String>;

/// A file that is read.
pub(super) struct Reader<'a> {
    /// Its name.
    pub file: &'a str,
    /// All of it.
    pub text: &'a str,
    /// Where its lines end. Each table asks for its line, and counting from the top each time took seconds for a long file.
    ends: Vec<usize>,
}

impl<'a> Reader<'a> {
    /// A file of that name and text.
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Reader { file, text, ends: text.match_indices('\n').map(|(at, _)| at).collect() }
    }

    /// The line, from 1, of a byte offset.
    pub fn line_of(&self, offset: usize) -> usize {
        self.ends.partition_point(|end| *end < offset) + 1
    }

    /// An error at a place of the file.
    pub fn error(&self, offset: usize, key: &str, reason: impl Into<String>) -> CatalogError {
        let line = self.line_of(offset);
        CatalogError { file: self.file.to_owned(), line, key: key.to_owned(), reason: reason.into() }
    }

    /// An error of the TOML reader: its span is the key or value; the key is the first word of that line.
    pub fn syntax(&self, error: &toml::de::Error) -> CatalogError {
        let offset = error.span().map_or(0, |span| span.start);
        let line = self.text.lines().nth(self.line_of(offset) - 1).unwrap_or_default();
        let key = line.split('=').next().unwrap_or_default().trim();
        self.error(offset, if key.is_empty() { "(file)" } else { key }, error.message().trim())
    }

    /// A text that is not empty, and that shows as what it is: it is printed on terminals, and compared with what a person typed.
    pub fn text(&self, key: &str, value: Text) -> Result<String, CatalogError> {
        let offset = value.span().start;
        let value = value.into_inner();
        match defect(&value) {
            Some(reason) => Err(self.error(offset, key, reason)),
            None => Ok(value),
        }
    }

    /// The name of a function or a type, which the catalog writes plainly.
    pub fn name(&self, key: &str, value: Text) -> Result<String, CatalogError> {
        let offset = value.span().start;
        let name = self.text(key, value)?;
        match names::plain_text(&name) {
            plain if *plain == name => Ok(name),
            plain => {
                Err(self.error(offset, key, format!("{name:?} is the linker's spelling: write {plain:?}")))
            }
        }
    }

    /// A text that may be left out.
    pub fn optional(&self, key: &str, value: Option<Text>) -> Result<Option<String>, CatalogError> {
        value.map(|value| self.text(key, value)).transpose()
    }

    /// A version of the module without a suffix.
    pub fn version(
        &self,
        module: &str,
        key: &str,
        value: Option<Text>,
    ) -> Result<Option<Version>, CatalogError> {
        let Some(value) = value else { return Ok(None) };
        let parsed = Version::parse(module, value.as_ref()).filter(|version| version.suffix().is_empty());
        parsed.map(Some).ok_or_else(|| {
            self.error(value.span().start, key, format!("{:?} is no version of {module}", value.as_ref()))
        })
    }

    /// A half-open range of the module's versions; `table` stands before the keys in errors (`role.site.`).
    pub fn range(
        &self,
        module: &str,
        table: &str,
        since: Option<Text>,
        until: Option<Text>,
    ) -> Result<Range, CatalogError> {
        let offset = until.as_ref().map_or(0, |until| until.span().start);
        let since = self.version(module, &format!("{table}since"), since)?;
        let until = self.version(module, &format!("{table}until"), until)?;
        match (&since, &until) {
            (Some(since), Some(until)) if until <= since => {
                let reason = format!("{until} is not after since = {since} (until is exclusive)");
                Err(self.error(offset, &format!("{table}until"), reason))
            }
            _ => Ok(Range { since, until }),
        }
    }

    /// An error about a word that is none of those expected.
    pub fn unknown(&self, value: &Text, key: &str, found: &str, expected: &str) -> CatalogError {
        self.error(value.span().start, key, format!("{found:?} is not {expected}"))
    }

    /// An error at a line.
    pub fn at_line(&self, line: usize, key: &str, reason: String) -> CatalogError {
        CatalogError { file: self.file.to_owned(), line, key: key.to_owned(), reason }
    }
}

/// What is wrong with a text that a person is to read, if anything is.
pub(super) fn defect(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("is empty".to_owned());
    }
    if let Some(c) = text.chars().find(|c| !is_printable(*c)) {
        return Some(format!(
            "has {:?} in it, which does not show as what it is",
            c.escape_default().to_string()
        ));
    }
    (text.trim() != text).then(|| "begins or ends with a space".to_owned())
}
