//! What a version says that is not plain: it holds for one architecture, rests on another module, or is not reached.

use crate::modules::{Place, json};
use crate::published::*;
use crate::support::{outcome, write_catalog};

/// A field has another type in a new release. `update` records it and says so; `build`, whose user works on the catalog, does not.
#[test]
fn a_new_release_in_which_a_field_has_another_type() {
    let field = "[[field]]\ntype = 'example.org/m.T'\nname = 'A'\nkind = 'int'\nrequired = true\n";
    let mut all = Published::new();
    publish(&mut all, "example.org/m", "v1.0.0", "", "package m\n\ntype T struct{ A int }\n");
    let place = Place::of(&(CATALOG.to_owned() + field));
    success(&place.build(&serve(all.clone()), &[]));
    let (before, data) = (place.text(), place.path("data").display().to_string());
    publish(&mut all, "example.org/m", "v1.1.0", "", "package m\n\ntype T struct{ A string }\n");
    let proxy = serve(all);
    let (code, said) = outcome(&place.build(&proxy, &[]));
    assert!(code == Some(1) && said.contains("A is string in v1.1.0, not int"), "{said}");
    assert_eq!(place.text(), before);
    for _ in 0..2 {
        let output = place.command(&proxy, &["update", "--out", &data]).output().expect("runs");
        let (code, said) = outcome(&output);
        assert!(code == Some(1) && said.contains("A is string in v1.1.0, not int"), "{said}");
        assert_eq!(versions(&place), ["v1.0.0", "v1.1.0"]);
    }
}

/// The time is up between the versions and their second architecture: that is a hole, and the next run fills it.
#[test]
fn what_was_not_begun_for_another_architecture() {
    let (place, proxy) = (Place::of(CATALOG), serve(growing(&["v1.0.0", "v1.1.0"])));
    success(&place.build(&proxy, &["--arch", "amd64"]));
    success(&place.build(&proxy, &["--stop-after", "0"]));
    let pending = |version: &str| (version.to_owned(), "arm64".to_owned(), "pending".to_owned());
    assert_eq!(holes(&place), ["v1.0.0", "v1.1.0"].map(pending));
    let data = place.path("data").display().to_string();
    success(&place.command(&proxy, &["update", "--out", &data]).output().expect("runs"));
    assert_eq!(holes(&place), []);
}

/// A struct that the source declares and the target does not reach is unknown; one that the source does not have is absent.
#[test]
fn what_the_target_does_not_reach() {
    let catalog = CATALOG.replace(
        "\"example.org/m.T\"",
        "\"example.org/m.T\", \"example.org/m.Late\", \"example.org/m/in.Other\", \"example.org/m.Alias\"",
    );
    let catalog = catalog
        .replace("[target]", "functions = [\"example.org/m.(*T).Far\", \"example.org/m.T.Far\"]\n[target]");
    let mut all = growing(&["v1.0.0"]);
    let source = "package m\n\nconst late = 1\n\ntype (\n\tT struct{ A int }\n\tLate struct{ B int }\n)\n\ntype Alias = T\n\n\
        //go:noinline\nfunc (t *T) Far(by int) int { return t.A + by }\n";
    publish(&mut all, "example.org/m", "v1.1.0", "", source);
    let files = all.get_mut("example.org/m@v1.1.0").expect("published");
    files.push(("in/in.go", "package in\n\ntype Other struct{ C int }\n".to_owned()));
    let source = source.replace("const late", "var Kept Late\n\nconst late")
        + "\nfunc init() { println(&Kept, (&T{}).Far(1)) }\n";
    publish(&mut all, "example.org/m", "v1.2.0", "", &source);
    let (place, proxy) = (Place::of(&catalog), serve(all));
    success(&place.build(&proxy, &[]));
    for (version, field, expected) in [
        ("v1.0.0", "example.org/m.Late.B", "-\tabsent"),
        ("v1.1.0", "example.org/m.Late.B", "-\tunknown"),
        ("v1.2.0", "example.org/m.Late.B", "0\texact"),
        ("v1.1.0", "example.org/m.T.A", "0\texact"),
    ] {
        assert_eq!(lookup(&place, version, field), format!("{field}\t{expected}"), "{version}");
    }
    let structs = &json(&place.text())["structs"];
    assert_eq!(structs["example.org/m/in.Other"]["unreached"][0]["from"], "v1.1.0");
    assert_eq!(structs["example.org/m/in.Other"]["unreached"][0]["to"], "v1.1.0");
    assert!(structs["example.org/m.Alias"]["unreached"].is_null(), "an alias names no struct of its own");
    // So it is with functions; that the method is one of the pointer is part of its name.
    let functions = &json(&place.text())["functions"];
    let far = &functions["example.org/m.(*T).Far"];
    let [absent, unreached, there] = ["tested", "unreached", "runs"].map(|key| &far[key][0]["from"]);
    assert_eq!((absent, unreached), (&"v1.0.0".into(), &"v1.1.0".into()), "{far}");
    assert_eq!((&far["unreached"][0]["to"], there), (&"v1.1.0".into(), &"v1.2.0".into()), "{far}");
    assert!(functions["example.org/m.T.Far"]["unreached"].is_null(), "{functions}");
    // Recorded as it is: nothing is left to be built.
    let output = place.build(&proxy, &[]);
    assert!(!outcome(&output).1.contains("built in"), "{}", outcome(&output).1);
}

/// The second architecture does not compile: the version is recorded, the axis is a hole, and is tried again.
#[test]
fn an_architecture_that_does_not_compile() {
    let mut all = growing(&["v1.0.0"]);
    let files = all.get_mut("example.org/m@v1.0.0").expect("published");
    files.push(("m_arm64.go", "package m\n\nvar x = nonsense\n".to_owned()));
    let (place, proxy) = (Place::of(CATALOG), serve(all));
    success(&place.build(&proxy, &[]));
    let expected = [("v1.0.0".to_owned(), "arm64".to_owned(), "compile".to_owned())];
    assert_eq!((versions(&place).len(), holes(&place)), (1, expected.to_vec()));
    let output = place.build(&proxy, &[]);
    assert!(outcome(&output).1.contains("failed: example.org/m v1.0.0 arm64"), "{}", outcome(&output).1);
}

/// A struct of another module lies inside by value: the newest version of that one is tried too, and where it moves a field,
/// nothing is vouched for.
#[test]
fn a_layout_that_depends_on_another_module() {
    let mut all = Published::new();
    publish(&mut all, "example.org/d", "v1.0.0", "", "package d\n\ntype D struct{ A int }\n");
    publish(&mut all, "example.org/d", "v1.1.0", "", "package d\n\ntype D struct{ A, B int }\n");
    // This one asks for a newer m than there is to be tested, so it does not go with it.
    publish(
        &mut all,
        "example.org/d",
        "v1.2.0",
        "require example.org/m v1.1.0",
        "package d\n\ntype D struct{ A, B, C int }\n",
    );
    let source = "package m\n\nimport \"example.org/d\"\n\ntype T struct {\n\tFirst int\n\tInside d.D\n\tLast int\n}\n";
    publish(&mut all, "example.org/m", "v1.0.0", "require example.org/d v1.0.0", source);
    let (place, proxy) = (Place::of(CATALOG), serve(all));
    success(&place.build(&proxy, &[]));
    let tested = &json(&place.text())["versions"][0];
    assert_eq!(
        tested["arch"],
        serde_json::json!(["amd64", "amd64+example.org/d@v1.1.0", "arm64"]),
        "{tested}"
    );
    assert_eq!(tested["modules"], serde_json::json!(["example.org/d@v1.0.0"]));
    assert_eq!(lookup(&place, "v1.0.0", "example.org/m.T.Inside"), "example.org/m.T.Inside\t8\texact");
    assert_eq!(lookup(&place, "v1.0.0", "example.org/m.T.Last"), "example.org/m.T.Last\t-\toutside");
    let (_, said) = place.verify(&proxy, &["--trust-on-first-use"]);
    assert!(said.contains("amd64+example.org/d@v1.1.0\tagrees"), "{said}");
    assert!(said.contains("3 of 3 entries agree"), "{said}");
}

/// A struct that is defined as another module's lies as that module's version says, which this one's does not tell.
#[test]
fn a_struct_that_is_another_modules() {
    let mut all = Published::new();
    publish(&mut all, "example.org/d", "v1.0.0", "", "package d\n\ntype D struct{ A int }\n");
    let source = "package m\n\nimport other \"example.org/d\"\n\ntype T other.D\n";
    publish(&mut all, "example.org/m", "v1.0.0", "require example.org/d v1.0.0", source);
    let (place, proxy) = (Place::of(CATALOG), serve(all));
    success(&place.build(&proxy, &[]));
    let structs = &json(&place.text())["structs"]["example.org/m.T"];
    assert_eq!(structs["unreached"][0]["from"], "v1.0.0", "{structs}");
    assert_eq!(lookup(&place, "v1.0.0", "example.org/m.T.A"), "example.org/m.T.A\t-\tunknown");
}

/// A struct that a target did not reach is looked for again when the catalog has another target; `update` leaves it alone.
#[test]
fn another_target_for_what_was_not_reached() {
    let more = CATALOG.replace("\"example.org/m.T\"", "\"example.org/m.T\", \"example.org/m.Late\"");
    let mut all = Published::new();
    let source = "package m\n\ntype T struct{ A int }\n\ntype Late struct{ B int }\n";
    publish(&mut all, "example.org/m", "v1.0.0", "", source);
    let (place, proxy) = (Place::of(&more), serve(all));
    success(&place.build(&proxy, &[]));
    assert_eq!(lookup(&place, "v1.0.0", "example.org/m.Late.B"), "example.org/m.Late.B\t-\tunknown");
    let reaching =
        more.replace("var t m.T\n", "var t m.T\n\nvar late m.Late\n").replace("(&t)", "(&t, &late)");
    write_catalog(&place.path("catalog"), &reaching);
    let data = place.path("data").display().to_string();
    let before = place.text();
    success(&place.command(&proxy, &["update", "--out", &data]).output().expect("runs"));
    assert_eq!(place.text(), before);
    success(&place.build(&proxy, &[]));
    assert_eq!(lookup(&place, "v1.0.0", "example.org/m.Late.B"), "example.org/m.Late.B\t0\texact");
}
