//! The configuration of the programs, from the library's part of the Plan.

use analyzer::{
    Plan,
    plan::{self, Function, Site, When},
};
use runtime_ebpf::{
    abi::{CHECK_NONE, MAX_OFFSET, NO_OFFSET},
    kafka_go::{COMMIT_SELECTS, File, MESSAGE_WINDOW, Select},
    libraries::KAFKA_GO,
};

use crate::libraries::{
    errors::{self, Wrapper},
    library::ConfigError,
    values::{offset, offset_of, role, stack_check},
};

const MESSAGE: &str = "github.com/segmentio/kafka-go.Message";
const READER: &str = "github.com/segmentio/kafka-go.Reader";
const READER_CONFIG: &str = "github.com/segmentio/kafka-go.ReaderConfig";
const READ: &str = "github.com/segmentio/kafka-go.readerMessage";
const WRITER: &str = "github.com/segmentio/kafka-go.Writer";
const ADDR: &str = "net.Addr";
const NETWORK_ADDRESS: &str = "*github.com/segmentio/kafka-go.networkAddress";
const WRITE_ERRORS: &str = "github.com/segmentio/kafka-go.WriteErrors";
const CODE: &str = "github.com/segmentio/kafka-go.Error";
const ADDRESSES: &str = "github.com/segmentio/kafka-go.multiAddr";
const PARTITION_WRITER: &str = "github.com/segmentio/kafka-go.partitionWriter";
const BATCH: &str = "github.com/segmentio/kafka-go.writeBatch";
const RESPONSE: &str = "github.com/segmentio/kafka-go/protocol/produce.Response";
const OF_TOPIC: &str = "github.com/segmentio/kafka-go/protocol/produce.ResponseTopic";
const OF_PARTITION: &str = "github.com/segmentio/kafka-go/protocol/produce.ResponsePartition";

/// What says where messages are written: of use only together.
const LINKING: [&str; 4] = ["join", "make", "produce", "produced"];

/// Errors that hold another.
const WRAPPERS: [Wrapper; 1] = [("*fmt.wrapError", "fmt.wrapError", "err")];

const ANYWHERE: u64 = MAX_OFFSET as u64;
/// The last offset in the window that leaves room for a string.
const LIMIT: u64 = MESSAGE_WINDOW as u64 - 16;

/// Whether a role's probes are of use in this binary.
pub fn takes(role: &str, library: &plan::Library) -> bool {
    !LINKING.contains(&role) || Linking::of(library).is_some()
}

/// What the programs need to know to say where messages are written.
struct Linking<'a> {
    join: &'a Site,
    produce: &'a Site,
    response_vaddr: u64,
    /// In the order of their places in [`File`].
    offsets: [u16; 10],
}

impl<'a> Linking<'a> {
    /// `None`: something is missing.
    fn of(library: &'a plan::Library) -> Option<Self> {
        let site = |name| role(library, name)?.sites.first();
        let [join, _, produce, _] = LINKING.map(site);
        let is_whole = LINKING.iter().all(|name| site(name).is_some()) && role(library, "write").is_some();
        let at =
            |type_name, field, multiple| offset_of(library, type_name, field, multiple).unwrap_or(NO_OFFSET);
        let topic = at("github.com/segmentio/kafka-go.topicPartition", "topic", 8);
        let meta = at(PARTITION_WRITER, "meta", 8);
        let offsets = [
            if [topic, meta].contains(&NO_OFFSET) { NO_OFFSET } else { meta.saturating_add(topic) },
            at(PARTITION_WRITER, "currBatch", 8),
            at(BATCH, "time", 8),
            at(BATCH, "size", 8),
            at(BATCH, "msgs", 8),
            at(RESPONSE, "Topics", 8),
            at(OF_TOPIC, "Partitions", 8),
            at(OF_PARTITION, "Partition", 4),
            at(OF_PARTITION, "ErrorCode", 2),
            at(OF_PARTITION, "BaseOffset", 8),
        ];
        let response_vaddr = descriptor(library, "*github.com/segmentio/kafka-go/protocol/produce.Response")?;
        (is_whole && !offsets.contains(&NO_OFFSET)).then_some(Self {
            join: join?,
            produce: produce?,
            response_vaddr,
            offsets,
        })
    }
}

/// Address in the file of a type's descriptor.
fn descriptor(library: &plan::Library, name: &str) -> Option<u64> {
    library.types.iter().find(|known| known.type_name == name)?.vaddr
}

/// What the programs need to know of this binary.
pub fn file(library: &plan::Library, plan: &Plan) -> Result<File, ConfigError> {
    let write = pair(library, "write", "write_end");
    let slots = write.as_ref().and_then(|(_, end, _)| error_slots(end));
    let code = role(library, "write").map(|function| [function.vaddr, function.size]);
    let read = pair(library, "read", "read_end");
    let select = read.as_ref().and_then(|(_, _, end)| u64::try_from(end.select_cases?).ok());
    let size = library.sizes.iter().find(|size| size.type_name == MESSAGE).and_then(|size| size.size);
    let at = |type_name, field| offset(library, type_name, field, ANYWHERE);
    let message = |field| offset(library, MESSAGE, field, LIMIT);
    let config = at(READER, "config");
    let [group, brokers, interval] =
        ["GroupID", "Brokers", "CommitInterval"].map(|field| at(READER_CONFIG, field));
    let within = |field: u16| match config.checked_add(field) {
        Some(sum) if config != NO_OFFSET && field != NO_OFFSET && sum <= MAX_OFFSET => sum,
        _ => NO_OFFSET,
    };
    let writer_topic = at(WRITER, "Topic");
    let of_read = [
        at(READER, "msgs"),
        at(READER, "version"),
        at(READ, "version"),
        at(READ, "message"),
        at(READ, "error"),
        message("Partition"),
        message("Offset"),
        message("Key"),
    ];
    let topic = message("Topic");
    // A slice of messages steps by their size, and a topic is in each.
    let is_known = size.is_some() && topic != NO_OFFSET;
    let can_write = is_known
        && slots.is_some()
        && ![writer_topic, at(WRITER, "Addr"), at(WRITER, "closed")].contains(&NO_OFFSET);
    let can_read = is_known && select.is_some() && !of_read.contains(&NO_OFFSET);
    let [reader_msgs, reader_version, read_version, read_message, read_error, partition, offset_at, key] =
        of_read;
    let write = write.filter(|_| can_write).map(|(start, ..)| start);
    let read = read.filter(|_| can_read).map(|(start, ..)| start);
    let commit = pair(library, "commit", "commit_end")
        .filter(|_| is_known && ![within(interval), within(group)].contains(&NO_OFFSET));
    let commit = commit.and_then(|(start, end, _)| Some((start, selects(end)?)));
    if write.is_none() && read.is_none() && commit.is_none() {
        return Err(ConfigError::NoSite { library: KAFKA_GO.id, role: "write" });
    }
    let vaddr = |name| descriptor(library, name).unwrap_or(0);
    let check = |site: Option<&Site>| {
        site.filter(|site| site.when == When::Entry)
            .map_or(CHECK_NONE, |site| stack_check(plan.arch, &site.bytes))
    };
    // Up to v0.4 the header is a type of the package's own.
    let header = ["github.com/segmentio/kafka-go/protocol.Header", "github.com/segmentio/kafka-go.Header"]
        .into_iter()
        .find(|name| at(name, "Key") != NO_OFFSET && at(name, "Value") != NO_OFFSET);
    let header_size = |name: &str| library.sizes.iter().find(|size| size.type_name == name)?.size;
    let header_bytes = header.and_then(header_size).and_then(|size| u16::try_from(size).ok()).unwrap_or(0);
    let of_header = |field| header.map_or(NO_OFFSET, |name| at(name, field));
    let addr = |concrete| {
        let of_it = |itab: &&plan::Itab| itab.interface == ADDR && itab.concrete == concrete;
        library.itabs.iter().find(of_it).and_then(|itab| itab.vaddr).unwrap_or(0)
    };
    let linking = Linking::of(library).filter(|_| write.is_some());
    let [
        partition_writer_topic,
        partition_writer_batch,
        batch_time,
        batch_size,
        batch_messages,
        response_topics,
        response_partitions,
        response_partition,
        response_code,
        response_offset,
    ] = linking.as_ref().map_or([NO_OFFSET; 10], |linking| linking.offsets);
    Ok(File {
        errors: errors::config(library, plan, &WRAPPERS),
        write_vaddr: write.map_or(0, |site| site.vaddr),
        read_vaddr: read.map_or(0, |site| site.vaddr),
        commit_vaddr: commit.map_or(0, |(site, _)| site.vaddr),
        commit_selects: commit
            .map_or([Select { vaddr: 0, cases: 0 }; COMMIT_SELECTS], |(_, selects)| selects),
        write_errors_vaddr: vaddr(WRITE_ERRORS),
        code_vaddr: vaddr(CODE),
        addr_itab: addr(NETWORK_ADDRESS),
        addrs_itab: addr(ADDRESSES),
        produce_vaddr: linking.as_ref().map_or(0, |linking| linking.produce.vaddr),
        response_vaddr: linking.as_ref().map_or(0, |linking| linking.response_vaddr),
        write_code: code.unwrap_or([0; 2]),
        error_slots: slots.unwrap_or([0; 2]),
        select_cases: select.unwrap_or(0),
        message_bytes: size.unwrap_or(0),
        writer_topic,
        writer_addr: at(WRITER, "Addr"),
        writer_closed: at(WRITER, "closed"),
        addr_address: at("github.com/segmentio/kafka-go.networkAddress", "address"),
        reader_msgs,
        reader_run_error: at(READER, "runError"),
        reader_version,
        reader_group: within(group),
        reader_brokers: within(brokers),
        reader_commit_interval: within(interval),
        read_version,
        read_message,
        read_error,
        topic,
        partition,
        offset: offset_at,
        key,
        headers: message("Headers"),
        header_bytes,
        header_key: of_header("Key"),
        header_value: of_header("Value"),
        partition_writer_topic,
        partition_writer_batch,
        batch_time,
        batch_size,
        batch_messages,
        response_topics,
        response_partitions,
        response_partition,
        response_code,
        response_offset,
        write_check: check(write),
        read_check: check(read),
        commit_check: check(commit.map(|(site, _)| site)),
        join_check: check(linking.as_ref().map(|linking| linking.join)),
        produce_check: check(linking.as_ref().map(|linking| linking.produce)),
        rest: [0; 5],
    })
}

/// Where an operation begins, and where it ends: one is nothing without the other.
fn pair<'a>(
    library: &'a plan::Library,
    start: &str,
    end: &str,
) -> Option<(&'a Site, &'a Function, &'a Site)> {
    let (start, end) = (role(library, start)?, role(library, end)?);
    Some((start.sites.first()?, end, end.sites.first()?))
}

/// Where the words of the error lie that `WriteMessages` returns.
fn error_slots(end: &Function) -> Option<[u64; 2]> {
    let slots = &end.result_slots.as_ref()?.slots;
    let [itab, data] = slots.as_slice() else { return None };
    Some([u64::try_from(*itab).ok()?, u64::try_from(*data).ok()?])
}

/// The two `select`s of `CommitMessages`.
fn selects(end: &Function) -> Option<[Select; COMMIT_SELECTS]> {
    let [first, second] = end.sites.as_slice() else { return None };
    let select =
        |site: &Site| Some(Select { vaddr: site.vaddr, cases: u64::try_from(site.select_cases?).ok()? });
    Some([select(first)?, select(second)?])
}
