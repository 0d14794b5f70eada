use super::*;

fn record(items: &[(u16, u16, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<Said>()];
    for (tag, of, text) in items {
        let len = u64::try_from(text.len()).expect("short");
        bytes.extend((u64::from(*tag) | u64::from(*of) << 16 | len << 32).to_ne_bytes());
        bytes.extend(*text);
        bytes.resize(bytes.len().next_multiple_of(HEAD_BYTES), 0);
    }
    bytes
}

fn word(number: u64) -> [u8; 8] {
    number.to_ne_bytes()
}

#[test]
fn attributes_are_whose_items_they_follow() {
    let link: Vec<u8> = (1..=32).collect();
    let bytes = record(&[
        (ITEM_NAME, 0, b"work"),
        (ITEM_OWN, 0, b""),
        (ITEM_KEY, 0, b"int"),
        (ITEM_VALUE, TYPE_INT64, &word(u64::MAX)),
        (ITEM_KEY, 0, b"strings"),
        (ITEM_VALUE, TYPE_STRINGS, b""),
        (ITEM_ELEMENT, 0, b"x"),
        (ITEM_ELEMENT, 0, b""),
        (ITEM_LINK, 0, &link),
        (ITEM_KEY, 0, b"of"),
        (ITEM_VALUE, TYPE_STRING, b"a link"),
        (ITEM_OWN, 0, b""),
        (ITEM_KEY, 0, b"bools"),
        (ITEM_VALUE, TYPE_BOOLS, &[1, 0]),
        (ITEM_SPAN_KIND, 0, &word(5)),
    ]);
    let items = Items::read(&bytes).expect("whole");
    let text = |text: &str| Any::StringValue(text.to_owned());
    let array =
        |values: Vec<Any>| Any::ArrayValue(ArrayValue { values: values.into_iter().map(any).collect() });
    let own = |attributes: &[KeyValue]| -> Vec<(String, Any)> {
        let value =
            |attribute: &KeyValue| attribute.value.clone().and_then(|value| value.value).expect("a value");
        attributes.iter().map(|attribute| (attribute.key.clone(), value(attribute))).collect()
    };
    assert_eq!(
        own(&items.attributes),
        [
            ("int".to_owned(), Any::IntValue(-1)),
            ("strings".to_owned(), array(vec![text("x"), text("")])),
            ("bools".to_owned(), array(vec![Any::BoolValue(true), Any::BoolValue(false)])),
        ]
    );
    let [found] = items.links.as_slice() else { panic!("{:?}", items.links) };
    assert_eq!((found.trace_id.len(), found.span_id.as_slice(), found.flags), (16, &link[16..24], 25));
    assert_eq!(own(&found.attributes), [("of".to_owned(), text("a link"))]);
    assert_eq!((items.name.as_deref(), items.span_kind, items.dropped), (Some("work"), Some(5), 0));
}

#[test]
fn what_could_not_be_read_is_left_out_and_counted() {
    let bytes = record(&[
        (ITEM_KEY, OF_FAULT, b""),
        (ITEM_VALUE, TYPE_INT64, &word(1)),
        (ITEM_KEY, 0, b"value"),
        (ITEM_VALUE, TYPE_STRING | OF_FAULT, b""),
        (ITEM_KEY, 0, b"unknown"),
        (ITEM_VALUE, 77, &word(1)),
        (ITEM_KEY, 0, b"cut"),
    ]);
    let items = Items::read(&bytes).expect("whole");
    assert_eq!((items.attributes.len(), items.dropped), (0, 4));
}

#[test]
fn records_that_are_cut_are_refused_wherever() {
    let bytes = record(&[(ITEM_NAME, 0, b"a name"), (ITEM_SCOPE, 0, b"a scope")]);
    assert!(Items::read(&bytes).is_ok());
    for len in size_of::<Said>() + 1..bytes.len() {
        let whole = (len - size_of::<Said>()).is_multiple_of(16);
        assert_eq!(Items::read(&bytes[..len]).is_ok(), whole, "{len}");
    }
}

#[test]
fn times_are_gos() {
    let of = |wall: u64, ext: u64| time(&[word(wall), word(ext)].concat());
    // time.Unix(1700000000, 1), and the same with a monotonic reading.
    assert_eq!(of(1, 63_835_596_800), Some(1_700_000_000_000_000_001));
    let since_1885 = 1_700_000_000 + 2_682_288_000;
    assert_eq!(of(1 << 63 | since_1885 << 30 | 1, 12345), Some(1_700_000_000_000_000_001));
    assert_eq!((of(0, 0), of(0, 1), of(0, u64::MAX)), (None, None, None));
}
