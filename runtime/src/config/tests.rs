use std::path::PathBuf;
use std::time::Duration;

use super::otlp::ENDPOINT;
use super::*;

fn config(variables: &[(&str, &str)]) -> (Config, Vec<String>) {
    Config::from_env(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    })
}

fn otlp(variables: &[(&str, &str)]) -> Otlp {
    config(variables).0.otlp.expect("usable")
}

#[test]
fn defaults() {
    let (config, warnings) = config(&[]);
    assert_eq!(warnings, Vec::<String>::new());
    assert!(!config.disabled && !config.exporter_configured && config.extract);
    assert_eq!(config.exporters, [Exporter::Otlp]);
    assert_eq!(config.sampler, Sampler { root: ROOT_ON, parent_based: 1, bound: 0 });
    assert_eq!(config.log_level, LogLevel::Info);
    assert_eq!(
        (config.batch.queue_spans, config.batch.batch_spans, config.batch.concurrent),
        (32_768, 512, 16)
    );
    assert_eq!(config.batch.delay, Duration::from_secs(5));
    assert_eq!(config.capacity, Capacity::default());
    let otlp = config.otlp.expect("usable");
    assert_eq!(otlp.endpoint.as_str(), "http://localhost:4318/v1/traces");
    assert_eq!((otlp.timeout, otlp.gzip), (Duration::from_secs(10), false));
}

#[test]
fn empty_is_unset() {
    let names = [SDK_DISABLED, TRACES_EXPORTER, TRACES_SAMPLER, PROPAGATORS, LOG_LEVEL, BSP_MAX_QUEUE_SIZE];
    let empty: Vec<(&str, &str)> = names.iter().map(|name| (*name, " ")).collect();
    assert_eq!(config(&empty), config(&[]));
}

#[test]
fn exporters_by_name() {
    use Exporter::{Console, Otlp};
    for (value, want, configured, warned) in [
        ("otlp", &[Otlp][..], true, 0),
        ("Console", &[Console], true, 0),
        ("otlp, console,otlp", &[Otlp, Console], true, 0),
        ("none", &[], true, 0),
        ("zipkin", &[Otlp], false, 1),
        ("zipkin,console", &[Console], true, 1),
    ] {
        let (config, warnings) = config(&[(TRACES_EXPORTER, value)]);
        assert_eq!((config.exporters.as_slice(), config.exporter_configured), (want, configured), "{value}");
        assert_eq!(warnings.len(), warned, "{value}: {warnings:?}");
    }
    assert!(config(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "h:1")]).0.exporter_configured);
}

#[test]
fn samplers() {
    let half = 1u64 << 62;
    for (name, arg, want, warned) in [
        ("always_on", "", (ROOT_ON, 0, 0), 0),
        ("ALWAYS_OFF", "", (ROOT_OFF, 0, 0), 0),
        ("parentbased_always_off", "", (ROOT_OFF, 1, 0), 0),
        ("traceidratio", "0.5", (ROOT_RATIO, 0, half), 0),
        ("parentbased_traceidratio", "0.5", (ROOT_RATIO, 1, half), 0),
        ("traceidratio", "0", (ROOT_RATIO, 0, 0), 0),
        ("traceidratio", "1", (ROOT_ON, 0, 0), 0),
        ("traceidratio", "", (ROOT_ON, 0, 0), 0),
        ("traceidratio", "1.5", (ROOT_ON, 0, 0), 1),
        ("traceidratio", "-1", (ROOT_ON, 0, 0), 1),
        ("traceidratio", "NaN", (ROOT_ON, 0, 0), 1),
        ("jaeger_remote", "", (ROOT_ON, 1, 0), 1),
    ] {
        let (config, warnings) = config(&[(TRACES_SAMPLER, name), (TRACES_SAMPLER_ARG, arg)]);
        let (root, parent_based, bound) = want;
        assert_eq!(config.sampler, Sampler { root, parent_based, bound }, "{name} {arg}");
        assert_eq!(warnings.len(), warned, "{name} {arg}: {warnings:?}");
    }
}

#[test]
fn propagators() {
    for (value, extract, warned) in
        [("tracecontext", true, 0), ("baggage", false, 0), ("none", false, 0), ("b3,tracecontext", true, 1)]
    {
        let (config, warnings) = config(&[(PROPAGATORS, value)]);
        assert_eq!((config.extract, warnings.len()), (extract, warned), "{value}");
    }
}

#[test]
fn numbers_and_flags() {
    for (name, value) in [
        (BSP_MAX_QUEUE_SIZE, "0"),
        (BSP_MAX_QUEUE_SIZE, "-1"),
        (BSP_MAX_QUEUE_SIZE, "99999999999"),
        (BSP_SCHEDULE_DELAY, "5s"),
        (SDK_DISABLED, "yes"),
        (LOG_LEVEL, "loud"),
        (SPAN_ATTRIBUTE_COUNT_LIMIT, "x"),
        (CONFIG_FILE, "otel.yaml"),
        (BSP_MAX_CONCURRENT_EXPORTS, "0"),
        (BSP_MAX_CONCURRENT_EXPORTS, "65"),
        (MAX_IN_FLIGHT, "1"),
        (RING_BYTES, "5000000"),
        (BEGUN_BYTES, "64MB"),
    ] {
        let (got, warnings) = config(&[(name, value)]);
        assert_eq!(got, config(&[]).0, "{name}={value}");
        assert!(matches!(warnings.as_slice(), [one] if one.starts_with(name)), "{warnings:?}");
    }
    let (got, _) =
        config(&[(BSP_MAX_QUEUE_SIZE, "100"), (BSP_SCHEDULE_DELAY, "200"), (SDK_DISABLED, "TRUE")]);
    assert_eq!((got.batch.queue_spans, got.batch.batch_spans), (100, 100));
    assert_eq!((got.batch.delay, got.disabled), (Duration::from_millis(200), true));
}

#[test]
fn span_limits() {
    let (got, _) = config(&[
        (ATTRIBUTE_VALUE_LENGTH_LIMIT, "10"),
        (ATTRIBUTE_COUNT_LIMIT, "7"),
        (SPAN_ATTRIBUTE_COUNT_LIMIT, "5"),
        (HTTP_KNOWN_METHODS, "GET, BREW"),
    ]);
    assert_eq!((got.spans.value_length_limit, got.spans.attribute_count_limit), (Some(10), 5));
    assert_eq!(got.spans.known_methods, ["GET", "BREW"]);
}

#[test]
fn endpoints() {
    let (base, traces) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    for (variables, want) in [
        (&[(base, "otel-collector:4318")][..], "http://otel-collector:4318/v1/traces"),
        (&[(base, "otel-collector")], "http://otel-collector/v1/traces"),
        (&[(base, "10.0.0.1:4318/")], "http://10.0.0.1:4318/v1/traces"),
        (&[(base, "[::1]:4318")], "http://[::1]:4318/v1/traces"),
        (&[(base, "https://h/prefix")], "https://h/prefix/v1/traces"),
        (&[(base, "https://h/prefix/")], "https://h/prefix/v1/traces"),
        (&[(traces, "https://h/custom")], "https://h/custom"),
        (&[(traces, "h:1")], "http://h:1/"),
        (&[(base, "https://a"), (traces, "https://b/t")], "https://b/t"),
    ] {
        assert_eq!(otlp(variables).endpoint.as_str(), want, "{variables:?}");
    }
    for bad in ["http://", "ftp://h", "unix:///x", "http://h:99999"] {
        let error = config(&[(base, bad)]).0.otlp.expect_err(bad);
        assert!(error.to_string().contains(bad), "{error}");
    }
}

#[test]
fn sizes_and_sensitive_query_keys() {
    let (got, warnings) = config(&[
        (MAX_IN_FLIGHT, "8192"),
        (RING_BYTES, "1048576"),
        (BEGUN_BYTES, "8388608"),
        (BSP_MAX_CONCURRENT_EXPORTS, "2"),
        (SENSITIVE_QUERY_PARAMETERS, "ticket, session"),
    ]);
    assert_eq!(warnings, Vec::<String>::new());
    let capacity = Capacity { in_flight_entries: 8192, ring_bytes: 1 << 20, joiner_bytes: 8 << 20 };
    assert_eq!((got.capacity, got.batch.concurrent), (capacity, 2));
    assert_eq!(got.spans.sensitive_query_keys, ["ticket", "session"]);
    assert!(config(&[(SENSITIVE_QUERY_PARAMETERS, "none")]).0.spans.sensitive_query_keys.is_empty());
    assert!(config(&[]).0.spans.sensitive_query_keys.iter().any(|key| key == "sig"));
}

#[test]
fn no_secret_of_the_endpoint_or_the_headers_is_printed() {
    let secret = "s3cret";
    for bad in ["http://user:s3cret@h:99999?key=s3cret", "ftp://user:s3cret@h", "http://h:x?key=s3cret"] {
        let error = config(&[(ENDPOINT, bad)]).0.otlp.expect_err(bad);
        assert!(!format!("{error} {error:?}").contains(secret), "{error}");
    }
    let good = otlp(&[(ENDPOINT, "http://user:s3cret@h/?key=s3cret")]);
    assert!(!format!("{good:?}").contains(secret), "{good:?}");
    for headers in ["authorization: Basic s3cret==", "s3cret", "a=b,Bearer s3cret=="] {
        let (_, warnings) = config(&[("OTEL_EXPORTER_OTLP_HEADERS", headers)]);
        assert!(matches!(warnings.as_slice(), [one] if !one.contains(secret)), "{warnings:?}");
    }
}

/// The text of a process's environment: a quadratic parser would take minutes.
#[test]
fn megabytes_of_pairs_are_read_at_once() {
    let text: String = (0..500_000).map(|n| format!("k{n}=,")).collect();
    let begin = std::time::Instant::now();
    assert_eq!(parse_pairs(&text).map(|pairs| pairs.len()), Ok(500_000));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn protocols() {
    let name = "OTEL_EXPORTER_OTLP_PROTOCOL";
    let error = config(&[(name, "grpc")]).0.otlp.expect_err("grpc");
    assert!(error.to_string().contains("set it to http/protobuf"), "{error}");
    for (value, warned) in [("http/protobuf", 0), ("http/json", 1), ("smoke", 1)] {
        let (config, warnings) = config(&[(name, value)]);
        assert!(config.otlp.is_ok(), "{value}");
        assert_eq!(warnings.len(), warned, "{value}");
        let said = warnings.concat();
        assert_eq!(said.contains("ignored"), value == "smoke", "{said}");
    }
    let traces = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
    assert!(config(&[(name, "grpc"), traces]).0.otlp.is_ok());
}

#[test]
fn headers_timeout_compression_and_files() {
    let got = otlp(&[
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=general"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Authorization=Bearer%20x%2Cy, x-tenant=1,broken,k\u{e9}=2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/key.pem"),
    ]);
    assert_eq!(got.headers.get("authorization").map(|v| v.as_bytes()), Some(&b"Bearer x,y"[..]));
    assert_eq!((got.headers.len(), got.timeout, got.gzip), (2, Duration::ZERO, true));
    assert_eq!(got.certificate, Some(PathBuf::from("/ca.pem")));
    assert_eq!(got.client_key, Some(PathBuf::from("/key.pem")));
    let printed = format!("{got:?}");
    assert!(printed.contains("authorization") && !printed.contains("Bearer"), "{printed}");
}

#[test]
fn resource_attributes_are_decoded_or_discarded() {
    for (value, want, warned) in [
        ("a=1,b=x%2Cy", &[("a", "1"), ("b", "x,y")][..], 0),
        (" a = 1 , , a=2", &[("a", "2")], 0),
        ("k%3D=v%20w", &[("k=", "v w")], 0),
        ("a=1,b=%zz", &[], 1),
        ("a=1,b", &[], 1),
        ("a=1,=b", &[], 1),
        ("a=%ff", &[], 1),
    ] {
        let (config, warnings) = config(&[(RESOURCE_ATTRIBUTES, value)]);
        let got: Vec<(&str, &str)> =
            config.resource_attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!((got.as_slice(), warnings.len()), (want, warned), "{value}");
    }
}
