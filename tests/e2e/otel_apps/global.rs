//! `otelglobal`: spans by the API's global provider in a program without an SDK.

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::samples::{Ran, span};
use strobe_tests::spans::{Expected, Parent, Value, Want};

use super::build;

const SOURCE: &str = include_str!("../../apps/otel_global/main.go");
const SCOPE: &str = "strobe.test/otel_global";
const VERSION: &str = "v1.1 https://some_schema";
const MODULES: &[(&str, &str)] =
    &[("go.opentelemetry.io/otel", "v1.38.0"), ("go.opentelemetry.io/otel/trace", "v1.38.0")];
const FAILED: &str = "i deleted the prod db sry";

fn due() -> Expected {
    let mut child = span(SpanKind::Internal, "child", &[("string_key", "forty-two")], &[("int_key", 42)]);
    for (key, value) in [
        ("bool_key", "true"),
        ("float_key", "42.3"),
        ("ints_key", "[4 2]"),
        ("strings_key", "[\"forty\" \"two\"]"),
    ] {
        child.attributes.insert(key.to_owned(), Want::Is(Value::Other(value.to_owned())));
    }
    let child = Expected { parent: Parent::Above, error: true, ..child };
    Expected { children: vec![child], ..span(SpanKind::Consumer, "parent, renamed", &[], &[]) }
}

#[test]
fn otelglobal() -> Result<()> {
    let ran = Ran::of(&build(SOURCE, MODULES)?, &[], &[])?;
    ran.are(&[due()], &[SCOPE])?;
    ensure!(ran.spans.iter().all(|span| span.scope_version == VERSION), "{:?}", ran.spans);
    let parent = &ran.only(SpanKind::Consumer, "parent, renamed")?.span;
    let is_linked = parent.links.len() == 1 && parent.links[0].span_id == [0, 0, 0, 0, 0, 0, 0, 2];
    ensure!(is_linked, "{parent:?}");
    let child = &ran.only(SpanKind::Internal, "child")?.span;
    let message = child.status.as_ref().map(|status| status.message.as_str());
    ensure!(message == Some(FAILED) && child.events.len() == 1, "{child:?}");
    let keys: Vec<&str> = child.events[0].attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    ensure!(keys == ["exception.type", "exception.message", "exception.stacktrace"], "{child:?}");
    Ok(())
}
