//! Apache Kafka from Maven Central: one broker in KRaft mode on a port of its own, with its data in a folder of the test's.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::machine;

/// The newest.
pub const NEWEST: &str = "4.1.0";
/// The last that answers what kafka-go asked for up to v0.4.47 or so: Kafka 4.0 took old versions of requests away (KIP-896).
pub const BEFORE_4: &str = "3.9.1";

/// What Maven is asked for.
fn pom(version: &str) -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>strobe.test</groupId><artifactId>broker</artifactId><version>1</version><packaging>pom</packaging>\n  \
         <dependencies>\n    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>\
         <version>{version}</version></dependency>\n  </dependencies>\n</project>\n"
    )
}

/// What starts within that has started.
const PATIENCE: Duration = Duration::from_secs(120);

/// A broker, which is ended with its test.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    folder: tempfile::TempDir,
    /// Where it listens, as `HOST:PORT`.
    pub address: String,
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Its data is thrown away: nothing has to be written first. That fails if it has ended already, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the broker's jars, fetched once.
fn jars(version: &str) -> Result<PathBuf> {
    let jars = machine::cache_dir("kafka")?.join(version);
    if jars.is_dir() {
        return Ok(jars);
    }
    let folder = tempfile::tempdir_in(machine::cache_dir("kafka")?)?;
    fs::write(folder.path().join("pom.xml"), pom(version))?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]);
    maven.arg("-DoutputDirectory=jars").current_dir(folder.path());
    machine::run(&mut maven).context("fetch Apache Kafka by Maven")?;
    // Another test may have been faster: then its folder is as good.
    match fs::rename(folder.path().join("jars"), &jars) {
        Err(error) if !jars.is_dir() => Err(error).context("keep Apache Kafka's jars"),
        _ => Ok(jars),
    }
}

/// Two ports that nobody has, and that differ: both are held until both are known.
fn free_ports() -> Result<[u16; 2]> {
    let held = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [one, other] = &held;
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

/// `java` with the broker's classes and not much memory.
fn java(version: &str, main: &str) -> Result<Command> {
    let mut java = Command::new("java");
    java.args(["-Xmx256m", "-XX:+UseSerialGC", "-cp"]).arg(jars(version)?.join("*")).arg(main);
    Ok(java)
}

/// Starts a broker and waits until it listens.
pub fn start(version: &str) -> Result<Broker> {
    let folder = tempfile::tempdir().context("a folder for the broker")?;
    let [port, controller] = free_ports()?;
    let (properties, data) = (folder.path().join("server.properties"), folder.path().join("data"));
    let settings = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\nlog.dirs={}\n\
         auto.create.topics.enable=false\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n",
        data.display()
    );
    fs::write(&properties, settings)?;
    let mut format = java(version, "kafka.tools.StorageTool")?;
    format.args(["format", "-t", "AAAAAAAAQACAAAAAAAAAAA", "-c"]).arg(&properties);
    machine::run(&mut format).context("format the broker's storage")?;
    let log = fs::File::create(folder.path().join("log")).context("the broker's log")?;
    let child = java(version, "kafka.Kafka")?
        .arg(&properties)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start the broker")?;
    let mut broker = Broker { child, folder, address: format!("127.0.0.1:{port}") };
    let started = Instant::now();
    while TcpStream::connect(&broker.address).is_err() {
        let log = fs::read_to_string(broker.folder.path().join("log")).unwrap_or_default();
        let ended = broker.child.try_wait()?;
        ensure!(
            ended.is_none() && started.elapsed() < PATIENCE,
            "the broker does not answer: {ended:?}\n{log}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(broker)
}
