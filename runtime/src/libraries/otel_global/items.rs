//! What stands in a record: items, and what they make together.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::span::Link;
use runtime_ebpf::otel_global::records::{
    ITEM_DESCRIPTION, ITEM_ELEMENT, ITEM_ERROR_TEXT, ITEM_ERROR_TYPE, ITEM_KEY, ITEM_LINK, ITEM_NAME,
    ITEM_OWN, ITEM_SCHEMA, ITEM_SCOPE, ITEM_SPAN_KIND, ITEM_TIME, ITEM_VALUE, ITEM_VERSION, OF_FAULT, Said,
    TYPE_BOOL, TYPE_BOOLS, TYPE_FLOAT64, TYPE_FLOAT64S, TYPE_INT64, TYPE_INT64S, TYPE_STRING, TYPE_STRINGS,
};

use crate::records::DecodeError;

const HEAD_BYTES: usize = 8;

/// All that one call has said.
#[derive(Debug, Default, PartialEq)]
pub struct Items {
    pub name: Option<String>,
    pub scope: String,
    pub version: String,
    pub schema: String,
    pub description: String,
    /// A `trace.SpanKind`, which has OTLP's numbers.
    pub span_kind: Option<i32>,
    /// Nanoseconds since 1970.
    pub time_unix_ns: Option<u64>,
    pub attributes: Vec<KeyValue>,
    pub links: Vec<Link>,
    pub error_type: Option<Vec<u8>>,
    pub error_text: Option<String>,
    /// Attributes whose keys or values could not be had.
    pub dropped: u32,
}

impl Items {
    /// Those of a record.
    pub fn read(record: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = record.get(size_of::<Said>()..).unwrap_or_default();
        let mut reader = Reader::default();
        while !rest.is_empty() {
            let truncated = DecodeError::Contradiction("items");
            let Some((head, behind)) = rest.split_first_chunk::<HEAD_BYTES>() else { return Err(truncated) };
            let head = u64::from_ne_bytes(*head);
            let [tag, of] = [head, head >> 16].map(|word| u16::try_from(word & 0xffff).unwrap_or_default());
            let len = usize::try_from(head >> 32).unwrap_or(usize::MAX);
            let padded = len.checked_next_multiple_of(HEAD_BYTES).unwrap_or(usize::MAX);
            let (Some(bytes), Some(next)) = (behind.get(..len), behind.get(padded..)) else {
                return Err(truncated);
            };
            reader.take(tag, of, bytes);
            rest = next;
        }
        reader.end_attribute();
        Ok(reader.items)
    }
}

#[derive(Debug, Default)]
struct Reader {
    items: Items,
    /// The attribute that is being read: its key (none: it could not be read), and its value, if that has come.
    key: Option<(Option<String>, Option<Any>)>,
    /// Whether attributes are the last link's.
    is_links: bool,
}

impl Reader {
    fn take(&mut self, tag: u16, of: u16, bytes: &[u8]) {
        let is_there = of & OF_FAULT == 0;
        let text = || String::from_utf8_lossy(bytes).into_owned();
        let items = &mut self.items;
        match tag {
            ITEM_KEY => {
                self.end_attribute();
                self.key = Some((is_there.then(text), None));
            }
            ITEM_VALUE => {
                if let Some((_, value)) = &mut self.key {
                    *value = is_there.then(|| value_of(of, bytes)).flatten();
                }
            }
            ITEM_ELEMENT => {
                if let Some((_, Some(Any::ArrayValue(array)))) = &mut self.key {
                    array.values.push(any(Any::StringValue(text())));
                }
            }
            ITEM_OWN => {
                self.end_attribute();
                self.is_links = false;
            }
            ITEM_LINK => {
                self.end_attribute();
                self.is_links = true;
                self.items.links.push(link(bytes));
            }
            _ if !is_there => {}
            ITEM_NAME => items.name = Some(text()),
            ITEM_SCOPE => items.scope = text(),
            ITEM_VERSION => items.version = text(),
            ITEM_SCHEMA => items.schema = text(),
            ITEM_DESCRIPTION => items.description = text(),
            ITEM_SPAN_KIND => {
                items.span_kind = words(bytes).first().and_then(|kind| i32::try_from(*kind).ok())
            }
            ITEM_TIME => items.time_unix_ns = time(bytes).or(items.time_unix_ns),
            ITEM_ERROR_TYPE => items.error_type = Some(bytes.to_vec()),
            ITEM_ERROR_TEXT => items.error_text = Some(text()),
            _ => {}
        }
    }

    fn end_attribute(&mut self) {
        let Some((key, value)) = self.key.take() else { return };
        let (Some(key), Some(value)) = (key, value) else {
            self.items.dropped += 1;
            return;
        };
        let attributes = match self.items.links.last_mut().filter(|_| self.is_links) {
            Some(link) => &mut link.attributes,
            None => &mut self.items.attributes,
        };
        set(attributes, KeyValue { key, value: Some(any(value)), ..KeyValue::default() });
    }
}

/// Adds an attribute, in place of one with its key.
pub fn set(attributes: &mut Vec<KeyValue>, attribute: KeyValue) {
    match attributes.iter_mut().find(|kept| kept.key == attribute.key) {
        Some(kept) => *kept = attribute,
        None => attributes.push(attribute),
    }
}

/// A value of OTLP.
pub fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word)).collect()
}

fn value_of(of: u16, bytes: &[u8]) -> Option<Any> {
    let int = |word: u64| Any::IntValue(word.cast_signed());
    let float = |word: u64| Any::DoubleValue(f64::from_bits(word));
    let array = |values: Vec<Any>| {
        Some(Any::ArrayValue(ArrayValue { values: values.into_iter().map(any).collect() }))
    };
    let words = words(bytes);
    match of {
        TYPE_BOOL => words.first().map(|word| Any::BoolValue(*word != 0)),
        TYPE_INT64 => words.first().copied().map(int),
        TYPE_FLOAT64 => words.first().copied().map(float),
        TYPE_STRING => Some(Any::StringValue(String::from_utf8_lossy(bytes).into_owned())),
        TYPE_BOOLS => array(bytes.iter().map(|byte| Any::BoolValue(*byte != 0)).collect()),
        TYPE_INT64S => array(words.into_iter().map(int).collect()),
        TYPE_FLOAT64S => array(words.into_iter().map(float).collect()),
        TYPE_STRINGS => array(Vec::new()),
        _ => None,
    }
}

/// A link, without ids where they could not be read: it is left out where ids are zeros.
fn link(bytes: &[u8]) -> Link {
    let part = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default().to_vec();
    let flags = bytes.get(24).copied().unwrap_or_default();
    Link { trace_id: part(0, 16), span_id: part(16, 24), flags: u32::from(flags), ..Link::default() }
}

/// Nanoseconds since 1970 of a `time.Time`: `wall` has 30 bits of nanoseconds, above them, where its highest bit is set, 33 of seconds since 1885;
/// else the seconds since the year 1 are in `ext` (time/time.go). None of the zero Time, which stands for the present.
fn time(bytes: &[u8]) -> Option<u64> {
    const HAS_MONOTONIC: u64 = 1 << 63;
    const FROM_1885: i64 = -2_682_288_000;
    const FROM_YEAR_1: i64 = -62_135_596_800;
    let &[wall, ext] = words(bytes).as_slice() else { return None };
    if wall == 0 && ext == 0 {
        return None;
    }
    let seconds = match wall & HAS_MONOTONIC {
        0 => ext.cast_signed().checked_add(FROM_YEAR_1)?,
        _ => i64::try_from(wall << 1 >> 31).ok()? + FROM_1885,
    };
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(wall & ((1 << 30) - 1))
}

#[cfg(test)]
mod tests;
