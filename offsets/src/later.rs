//! Parts of the embedded catalog and database that are decoded when somebody asks for them: a program that plans for one file asks for
//! few of them, and a part that nobody asks for costs neither time nor memory.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Error as _, Serialize, Serializer};

/// A value: at hand, or as the embedded form has it until it is asked for.
pub struct Later<T> {
    encoded: &'static [u8],
    // Boxed: most of them are never decoded, and take no room.
    value: OnceLock<Box<T>>,
}

impl<T> Later<T> {
    /// One that is decoded when it is asked for.
    pub(crate) fn encoded(encoded: &'static [u8]) -> Self {
        Self { encoded, value: OnceLock::new() }
    }
}

impl<T> From<T> for Later<T> {
    fn from(value: T) -> Self {
        Self { encoded: &[], value: OnceLock::from(Box::new(value)) }
    }
}

impl<T: Default> Default for Later<T> {
    fn default() -> Self {
        T::default().into()
    }
}

impl<T: Clone> Clone for Later<T> {
    fn clone(&self) -> Self {
        Self { encoded: self.encoded, value: self.value.clone() }
    }
}

impl<T: Deserialize<'static>> Deref for Later<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.get_or_init(|| {
            // It is part of the program, written by the same types when it was built, and a test reads all of them.
            let decoded = postcard::from_bytes(self.encoded);
            Box::new(decoded.unwrap_or_else(|error| panic!("embedded in this program: {error}")))
        })
    }
}

impl<'a, T: Deserialize<'static>> IntoIterator for &'a Later<Vec<T>> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Later<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.get() {
            Some(value) => value.fmt(f),
            None => f.write_str("(not decoded)"),
        }
    }
}

impl<T: Deserialize<'static> + Serialize> Serialize for Later<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&postcard::to_allocvec(&**self).map_err(S::Error::custom)?)
    }
}

/// A text of what the program has in itself.
pub(crate) fn text<'de: 'static, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Cow<'static, str>, D::Error> {
    <&str>::deserialize(deserializer).map(Cow::Borrowed)
}

/// From what the program has in itself alone: the value stays there.
impl<'de: 'static, T> Deserialize<'de> for Later<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Self::encoded)
    }
}
