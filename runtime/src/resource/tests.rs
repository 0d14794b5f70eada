use super::*;

fn process() -> ProcessFacts {
    ProcessFacts {
        pid: 4242,
        namespace_pid: Some(17),
        exe: Some("/srv/shop".into()),
        start_ticks: Some(150),
        ..ProcessFacts::default()
    }
}

fn host() -> HostFacts {
    HostFacts {
        name: Some("box".to_owned()),
        arch: "amd64",
        id: Some("m1".to_owned()),
        boot_id: Some("b1".to_owned()),
        boot_unix_s: Some(1_700_000_000),
    }
}

fn build(process: &ProcessFacts, binary: &BinaryFacts, agent: &AgentFacts) -> (Resource, Vec<String>) {
    Resource::new(Facts { process, binary, host: &host(), agent })
}

#[test]
fn a_whole_resource() {
    let binary = BinaryFacts { go_version: Some("go1.26.8".into()), main_version: Some("v1.2.3".into()) };
    let (resource, warnings) = build(&process(), &binary, &AgentFacts::default());
    assert!(warnings.is_empty());
    for (key, want) in [
        ("service.name", "unknown_service:shop"),
        ("service.version", "v1.2.3"),
        ("process.executable.name", "shop"),
        ("process.executable.path", "/srv/shop"),
        ("process.runtime.name", "go"),
        ("process.runtime.version", "go1.26.8"),
        ("process.creation.time", "2023-11-14T22:13:21.500Z"),
        ("telemetry.sdk.language", "go"),
        ("telemetry.sdk.name", "strobe"),
        ("telemetry.distro.name", "strobe"),
        ("host.name", "box"),
        ("host.arch", "amd64"),
        ("host.id", "m1"),
        ("os.type", "linux"),
    ] {
        assert_eq!(resource.str(key), Some(want), "{key}");
    }
    assert!(resource.attributes.contains(&("process.pid".to_owned(), Value::Int(17))));
    let message = Message::decode(resource.encoded.as_slice()).expect("decodes");
    assert_eq!(message.attributes.len(), resource.attributes.len());
}

#[test]
fn service_names() {
    let agent = |single_target| AgentFacts {
        single_target,
        service_name: Some("agent".into()),
        attributes: vec![("service.name".into(), "agent-attribute".into()), ("env".into(), "prod".into())],
    };
    let nameless = AgentFacts { service_name: None, ..agent(true) };
    let with = |name: Option<&str>, attributes: Option<&str>| ProcessFacts {
        service_name: name.map(str::to_owned),
        resource_attributes: attributes.map(str::to_owned),
        ..process()
    };
    let gone = ProcessFacts { pid: 1, ..ProcessFacts::default() };
    for (process, agent, want) in [
        (with(Some("own"), Some("service.name=attribute")), agent(true), "own"),
        (with(None, Some("service.name=attr%20ibute")), agent(true), "attr ibute"),
        (with(None, None), agent(true), "agent"),
        (with(None, None), nameless, "agent-attribute"),
        (with(None, None), agent(false), "unknown_service:shop"),
        (gone, agent(false), "unknown_service"),
    ] {
        let (resource, _) = build(&process, &BinaryFacts::default(), &agent);
        assert_eq!((resource.service_name.as_str(), resource.str("service.name")), (want, Some(want)));
        assert_eq!(resource.str("env"), Some("prod"));
    }
}

#[test]
fn who_wins() {
    let agent = AgentFacts { attributes: vec![("a".into(), "agent".into())], ..AgentFacts::default() };
    let attributes =
        Some("a=target,host.name=mine,telemetry.sdk.name=opentelemetry,process.pid=9".to_owned());
    let process = ProcessFacts { resource_attributes: attributes, ..process() };
    let (resource, _) = build(&process, &BinaryFacts::default(), &agent);
    assert_eq!(resource.str("a"), Some("target"));
    assert_eq!(resource.str("host.name"), Some("mine"));
    assert_eq!(resource.str("telemetry.sdk.name"), Some("strobe"));
    assert!(resource.attributes.contains(&("process.pid".to_owned(), Value::Int(17))));
    let (bad, warnings) = build(
        &ProcessFacts { resource_attributes: Some("a=%zz".into()), ..process },
        &BinaryFacts::default(),
        &AgentFacts::default(),
    );
    assert_eq!((bad.str("a"), warnings.len()), (None, 1));
}

#[test]
fn instance_ids_are_stable_and_unique() {
    let id = |process: &ProcessFacts| {
        let (resource, _) = build(process, &BinaryFacts::default(), &AgentFacts::default());
        resource.str("service.instance.id").map(str::to_owned)
    };
    let restarted = ProcessFacts { start_ticks: Some(151), ..process() };
    assert_eq!(id(&process()), id(&process()));
    assert_ne!(id(&process()), id(&restarted));
    assert_eq!(id(&ProcessFacts { start_ticks: None, ..process() }), None);
}

#[test]
fn devel_is_no_version() {
    let binary = BinaryFacts { go_version: None, main_version: Some("(devel)".into()) };
    assert_eq!(build(&process(), &binary, &AgentFacts::default()).0.str("service.version"), None);
}
