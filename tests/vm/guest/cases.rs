//! The cases by name. The host has the same names in its table of runs (`tests/vm/runs.rs`).

use anyhow::{Result, bail};
use strobe_tests::gotest::suite::{GRPC, NET_HTTP};

use crate::{
    bench::Bench, by_hand, carried, chain, clients, databases, features, grpc, kafka, lives, loading,
    machines, messages, namespaces, own, own_tests, privileges, states,
};

/// Runs one; what it says goes into the table.
pub fn run(name: &str) -> Result<String> {
    match name {
        "load" => loading::every_program(),
        "features" => features::gates(),
        "go1.22" => lives::every_kind_of_request(&Bench::of_one_library("1.22")?),
        "go1.24" => lives::every_kind_of_request(&Bench::of_one_library("1.24")?),
        "go1.27" => lives::every_kind_of_request(&Bench::new("1.27")?),
        "h2-1.22" => lives::over_http2("1.22"),
        "h2-1.27" => lives::over_http2("1.27"),
        "client1.22" => clients::round_trips("1.22"),
        "client1.27" => clients::round_trips("1.27"),
        "carried1.27" => carried::contexts("1.27", &["parentbased_always_on", "parentbased_traceidratio"]),
        "written1.22" => carried::contexts("1.22", &["parentbased_always_on"]),
        "written1.27" => carried::contexts("1.27", &["parentbased_always_on"]),
        "own1.27" => own::contexts("1.27"),
        "states1.27" => states::go_on("1.27"),
        "chain" => chain::contexts(),
        "go1.26" => lives::every_kind_of_request(&Bench::of_one_library("1.26")?),
        "unix1.26" => lives::over_a_socket("1.26"),
        "routes1.26" => lives::routes("1.26"),
        "x-net1.26" => clients::round_trips_of_x_net(),
        "grpc1.22" => grpc::rpcs("1.22"),
        "grpc1.27" => grpc::rpcs("1.27"),
        "sql1.22" => databases::operations("1.22"),
        "sql1.27" => databases::operations("1.27"),
        "kafka1.27" => kafka::operations("1.27"),
        "manual1.26" => by_hand::spans("1.26"),
        "calls" => lives::helper_calls("1.24"),
        "exec" => lives::exec("1.24"),
        "restart" => lives::restart("1.24"),
        "overwrite" => lives::overwritten_in_place("1.22", "1.27"),
        "pid-below" => namespaces::target_below("1.24"),
        "pid-inside" => namespaces::agent_inside("1.24"),
        "pid-deep" => namespaces::agent_inside_target_below("1.24"),
        "pid-inside:inner" => namespaces::inner_same("1.24"),
        "pid-deep:inner" => namespaces::target_below("1.24"),
        "overlay" => namespaces::overlay_mounts("1.24"),
        "user" => privileges::exactly_the_documented("1.24"),
        "missing" => privileges::each_missing_in_turn("1.24"),
        "own-tests-net-http" => own_tests::are_unchanged(name, NET_HTTP),
        "own-tests-grpc" => own_tests::are_unchanged(name, GRPC),
        "messages-h1" => messages::arrive("h1"),
        "messages-h2" => messages::arrive("h2"),
        "messages-h2c" => messages::arrive("h2c"),
        "messages-grpc" => messages::arrive("grpc"),
        "lockdown" => machines::is_locked_down(),
        "preempt" => machines::is_fully_preemptible(),
        _ => bail!("no case is named {name}"),
    }
}
