use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use runtime_ebpf::{libraries::AUTO_SDK, made::records::KIND_ENDED, record::PARENT_LOCAL};

use super::*;
use crate::records::tests::some_head;

/// What v1.2.1 writes of a span with everything, shortened.
const WRITTEN: &str = r#"{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"app","version":"v1"},"spans":[{
  "traceId":"","spanId":"","parentSpanId":"","name":"work <1>","kind":3,
  "startTimeUnixNano":"1700000000000000001","endTimeUnixNano":1700000000000000009,
  "attributes":[{"key":"s","value":{"stringValue":"\u00e4bc"}},{"key":"b","value":{"boolValue":true}},
    {"key":"i","value":{"intValue":"-7"}},{"key":"d","value":{"doubleValue":0.5}},
    {"key":"l","value":{"arrayValue":{"values":[{"stringValue":"abc"},{"stringValue":"d"}]}}}],
  "events":[{"timeUnixNano":1700000000000000005,"name":"e","attributes":[{"key":"k","value":{"stringValue":"value"}}]}],
  "links":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000002","flags":1},{"traceId":"","spanId":""}],
  "status":{"message":"no good","code":2}}],"schemaUrl":"https://x/1.0.0"}]}]}"#;

fn head() -> Head {
    Head { parent: PARENT_LOCAL, parent_span_id: [3; 8], ..some_head(AUTO_SDK.code, KIND_ENDED) }
}

fn made(json: &str, settings: &Settings) -> Result<(Span<'static>, Written), DecodeError> {
    let span = span(&head(), json.as_bytes(), &Clock::with_offset_ns(0), settings)?;
    let fields = &span.made.as_ref().expect("made by hand").fields;
    let written = Written::decode(fields.as_slice()).expect("a Span");
    Ok((span, written))
}

#[test]
fn everything_of_a_span_is_kept_and_its_ids_are_the_agents() {
    let (span, written) = made(WRITTEN, &Settings::default()).expect("reads");
    assert_eq!((span.trace_id, span.span_id, span.parent_span_id), ([7; 16], [9; 8], Some([3; 8])));
    assert_eq!((&*span.name, span.kind, span.error), ("work <1>", Kind::Client, true));
    assert_eq!(
        (span.start_unix_ns, span.end_unix_ns),
        (1_700_000_000_000_000_001, 1_700_000_000_000_000_009)
    );
    assert_eq!(span.message.as_deref(), Some("no good"));
    let made = span.made.expect("made by hand");
    let scope = InstrumentationScope::decode(made.scope.encoded.as_slice()).expect("a scope");
    assert_eq!((scope.name.as_str(), scope.version.as_str()), ("app", "v1"));
    assert_eq!(made.scope.schema_url, "https://x/1.0.0");
    let values: Vec<Any> =
        written.attributes.iter().map(|a| a.value.clone().unwrap().value.unwrap()).collect();
    assert!(
        matches!(
            values.as_slice(),
            [Any::StringValue(s), Any::BoolValue(true), Any::IntValue(-7), Any::DoubleValue(d), Any::ArrayValue(l)]
                if s == "\u{e4}bc" && (*d - 0.5).abs() < 1e-9 && l.values.len() == 2
        ),
        "{values:?}"
    );
    assert_eq!(
        (written.events[0].name.as_str(), written.events[0].time_unix_nano),
        ("e", 1_700_000_000_000_000_005)
    );
    assert_eq!((written.links.len(), written.dropped_links_count), (1, 1), "the one without ids is counted");
    assert_eq!(written.links[0].span_id, [0, 0, 0, 0, 0, 0, 0, 2]);
    assert_eq!(written.status.map(|status| status.code), Some(2));
    assert!(written.trace_id.is_empty() && written.name.is_empty(), "told once");
}

#[test]
fn the_agents_limits_hold() {
    let settings = Settings { attribute_count_limit: 1, value_length_limit: Some(2), ..Settings::default() };
    let (span, written) = made(WRITTEN, &settings).expect("reads");
    assert_eq!((written.attributes.len(), written.dropped_attributes_count), (1, 4));
    let texts =
        [&written.attributes[0], &written.events[0].attributes[0]].map(|a| a.value.clone().unwrap().value);
    assert_eq!(texts, [Some(Any::StringValue("\u{e4}b".into())), Some(Any::StringValue("va".into()))]);
    assert_eq!(span.message.as_deref(), Some("no"));
}

#[test]
fn what_has_no_times_was_open_between_the_hits() {
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":""}]}]}]}"#;
    let (span, _) = made(json, &Settings::default()).expect("reads");
    assert_eq!((span.start_unix_ns, span.end_unix_ns, span.kind), (1_000, 1_000, Kind::Internal));
}

#[test]
fn what_is_no_span_is_refused() {
    let nested = format!("{}{}", r#"{"resourceSpans":"#.to_owned(), "[".repeat(40_000));
    let two = WRITTEN.replace(r#""spans":[{"#, r#""spans":[{"name":"x"},{"#);
    for json in ["", "{}", "null", "[]", r#"{"resourceSpans":[]}"#, &WRITTEN[..300], &nested, &two] {
        assert_eq!(made(json, &Settings::default()).expect_err("no span").reason(), "unreadable");
    }
}
