//! What reading any table of a catalog file needs: values with their spans, and errors that name file, line and key.

use toml::Spanned;

use super::error::{CatalogError, line_of};
use super::range::Range;
use crate::{Version, names};

/// A text of the file with its place.
pub(super) type Text = Spanned<String>;

/// A file that is read.
pub(super) struct Reader<'a> {
    /// Its name.
    pub file: &'a str,
    /// All of it.
    pub text: &'a str,
}

impl Reader<'_> {
    /// An error at a place of the file.
    pub fn error(&self, offset: usize, key: &str, reason: impl Into<String>) -> CatalogError {
        let line = line_of(self.text, offset);
        CatalogError { file: self.file.to_owned(), line, key: key.to_owned(), reason: reason.into() }
    }

    /// An error of the TOML reader: its span is the key or value; the key is the first word of that line.
    pub fn syntax(&self, error: &toml::de::Error) -> CatalogError {
        let offset = error.span().map_or(0, |span| span.start);
        let line = self.text.lines().nth(line_of(self.text, offset) - 1).unwrap_or_default();
        let key = line.split('=').next().unwrap_or_default().trim();
        self.error(offset, if key.is_empty() { "(file)" } else { key }, error.message().trim())
    }

    /// A text that is not empty.
    pub fn text(&self, key: &str, value: Text) -> Result<String, CatalogError> {
        let offset = value.span().start;
        let value = value.into_inner();
        if value.trim().is_empty() { Err(self.error(offset, key, "is empty")) } else { Ok(value) }
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
