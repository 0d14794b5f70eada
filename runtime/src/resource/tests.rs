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

fn claiming(attributes: &str) -> ProcessFacts {
    ProcessFacts { resource_attributes: Some(attributes.to_owned()), ..process() }
}

#[test]
fn who_wins() {
    let agent = AgentFacts { attributes: vec![("a".into(), "agent".into())], ..AgentFacts::default() };
    let claims = "a=target,service.version=mine,service.instance.id=i,k8s.pod.name=p";
    let binary = BinaryFacts { go_version: None, main_version: Some("v1".into()) };
    let (resource, warnings) = build(&claiming(claims), &binary, &agent);
    for (key, want) in
        [("a", "target"), ("service.version", "mine"), ("service.instance.id", "i"), ("k8s.pod.name", "p")]
    {
        assert_eq!(resource.str(key), Some(want), "{key}");
    }
    assert!(warnings.is_empty() && resource.left_out == LeftOut::default(), "{warnings:?}");
    let (bad, warnings) = build(&claiming("a=%zz"), &BinaryFacts::default(), &AgentFacts::default());
    assert_eq!((bad.str("a"), warnings.len()), (None, 1));
}

#[test]
fn a_process_cannot_claim_another_identity() {
    let id = "0123456789abcdef".repeat(4);
    let claims = "container.id=mine,host.name=mine,host.id=mine,os.type=mine,process.executable.path=/mine,\
                  telemetry.sdk.name=mine,process.pid=9,process.runtime.name=go,host.type=mine";
    let process = ProcessFacts { container_id: Some(id.clone()), ..claiming(claims) };
    let (resource, warnings) = build(&process, &BinaryFacts::default(), &AgentFacts::default());
    for (key, want) in [
        ("container.id", id.as_str()),
        ("host.name", "box"),
        ("host.id", "m1"),
        ("os.type", "linux"),
        ("process.executable.path", "/srv/shop"),
        ("telemetry.sdk.name", "strobe"),
        // What strobe does not find out may be claimed.
        ("host.type", "mine"),
    ] {
        assert_eq!(resource.str(key), Some(want), "{key}");
    }
    assert!(resource.attributes.contains(&("process.pid".to_owned(), Value::Int(17))));
    // The runtime's name is claimed as it is.
    assert_eq!(resource.left_out, LeftOut { overruled: 7, ..LeftOut::default() });
    assert!(matches!(warnings.as_slice(), [one] if one.contains("process 4242: 7 claims")), "{warnings:?}");
}

#[test]
fn the_operator_may_say_which_host_this_is() {
    let attributes = vec![("host.name".into(), "node-1".into()), ("process.pid".into(), "1".into())];
    let agent = AgentFacts { attributes, ..AgentFacts::default() };
    let (resource, _) = build(&claiming("host.name=mine"), &BinaryFacts::default(), &agent);
    assert_eq!(resource.str("host.name"), Some("node-1"));
    assert!(resource.attributes.contains(&("process.pid".to_owned(), Value::Int(17))));
}

#[test]
fn a_resource_is_limited_in_number_and_size() {
    let mut claims: Vec<String> = (0..100_000).map(|n| format!("k{n}={n}")).collect();
    claims.insert(0, format!("long={}", "\u{e9}".repeat(10_000)));
    claims.insert(0, format!("{}=key", "k".repeat(300)));
    let process = ProcessFacts { service_name: Some("s".repeat(1 << 20)), ..claiming(&claims.join(",")) };
    let agent = AgentFacts { attributes: vec![("of.agent".into(), "1".into())], ..AgentFacts::default() };
    let (resource, warnings) = build(&process, &BinaryFacts::default(), &agent);
    assert_eq!(resource.attributes.len(), limits::MAX_ATTRIBUTES - 1, "service.version is not known here");
    assert_eq!(resource.service_name.len(), limits::MAX_VALUE_BYTES);
    assert_eq!(resource.str("long").map(str::len), Some(limits::MAX_VALUE_BYTES));
    for key in ["of.agent", "service.instance.id", "host.name", "process.executable.path", "k0"] {
        assert!(resource.str(key).is_some(), "{key}");
    }
    assert!(resource.encoded.len() < limits::MAX_ATTRIBUTES * 4500, "{}", resource.encoded.len());
    assert_eq!((resource.left_out.cut, resource.left_out.overruled), (2, 0));
    assert!(resource.left_out.dropped > 99_900 && warnings.len() == 1, "{warnings:?}");
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
