//! Lists of `key=value`, as `OTEL_RESOURCE_ATTRIBUTES` and the headers of an exporter have them.

use std::collections::HashMap;

use crate::spans::text::percent_decode;

/// Parses `key=value,key=value` with percent-encoded values: all of it or nothing. The text may be a stranger's: time and
/// memory grow with its length alone.
pub(crate) fn parse_pairs(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or("a pair without `=`")?;
        let (key, value) = (decode(key)?, decode(value)?);
        if key.is_empty() {
            return Err("an empty key");
        }
        match places.get(&key).and_then(|place| pairs.get_mut(*place)) {
            Some((_, old)) => *old = value,
            None => {
                places.insert(key.clone(), pairs.len());
                pairs.push((key, value));
            }
        }
    }
    Ok(pairs)
}

fn decode(text: &str) -> Result<String, &'static str> {
    let bytes = percent_decode(text.trim().as_bytes()).ok_or("a broken %-escape")?;
    String::from_utf8(bytes).map_err(|_| "an escape that is not UTF-8")
}
