//! Counters: nothing is lost in silence. One per-CPU array for the core's and all libraries', [`PER_LIBRARY`] places for each
//! library code; a counter's table says whether what it counts is a loss.

/// Places for each library, the core first.
pub const PER_LIBRARY: u32 = 32;

/// A counter as it is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Its name.
    pub name: &'static str,
    /// Whether data is missing because of what it counts; the others count what is as it should be.
    pub is_loss: bool,
}

/// Defines an enum of counters and its table: `Name = "exported.name", loss;` or `info;`.
#[macro_export]
macro_rules! counters {
    ($enum:ident: $($(#[doc = $doc:literal])+ $name:ident = $text:expr, $kind:ident;)+) => {
        /// What is counted, by its place in the array.
        #[repr(u32)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $enum { $($(#[doc = $doc])+ $name,)+ }

        /// Every counter, in the order of the enum.
        pub const ALL: &[$crate::counters::Count] = &[$(
            $crate::counters::Count { name: $text, is_loss: $crate::counters!(@ $kind) },
        )+];
    };
    (@ loss) => { true };
    (@ info) => { false };
}

counters! { Counter:
    /// Records written to the ring.
    Submitted = "records.submitted", info;
    /// Records that found no room in the ring. Not every one is a lost span: see the libraries' own counters.
    RingFull = "records.ring_full", info;
    /// Reads of the target's memory that failed, each an attribute left out.
    ReadFault = "reads.failed", loss;
    /// Header maps that could not be walked to their end.
    HeadersCut = "headers.incomplete", loss;
    /// `traceparent` headers present and invalid: a new trace began.
    TraceparentInvalid = "traceparent.invalid", info;
    /// Program starts that the agent was not told of, because the ring was full.
    ExecLost = "processes.exec_lost", loss;
    /// Stack-check hits ignored because the function starts again (morestack).
    Restarted = "entries.restarted", info;
    /// Hits that a second attachment of the same program at the same site had seen already.
    Doubled = "doubled", info;
    /// What found no room among the open spans: calls below it find their parent in another way, or have none.
    CurrentFull = "parents.lost.no_room", loss;
    /// Chains of contexts that were not followed to their end.
    ContextsCut = "parents.contexts_cut", info;
    /// Requests whose sender is traced by this agent, too: its span is the parent.
    Correlated = "correlation.matched", info;
    /// Requests over connections of which nobody traced is known to send it: it comes from elsewhere, or from a client that was not traced
    /// yet when it sent it.
    SenderUnknown = "correlation.no_sender", info;
    /// Connections, at either end, that are none of TCP, or are held by a type that strobe does not know.
    ConnectionUnknown = "correlation.no_connection", info;
    /// Readings of which connection a socket is that differ from what was read before. What most have read is believed.
    LinkDiffers = "correlation.readings_differ", info;
    /// Senders that found no room, or gave way while they were looked for.
    SenderLost = "correlation.lost", loss;
    /// A `tracestate` that does not go on: it is longer than 512 bytes, has other characters than those from space to tilde, or another request of
    /// the trace came to the process with another one.
    StateNotKept = "tracestate.not_kept", info;
    /// Requests made without the `tracestate` of their trace: it has given way, or could not be written. And requests without one of which that
    /// could not be noted.
    StateLost = "tracestate.lost", loss;
    /// `tracestate` headers written beside a `traceparent`.
    StateWritten = "tracestate.written", info;
    /// `tracestate` headers left out of requests: there was no room.
    StateNoRoom = "tracestate.no_room", info;
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;
    use crate::libraries;

    #[test]
    fn every_table_fits_its_places_and_names_are_unique() {
        let mut names = std::collections::BTreeSet::new();
        for table in core::iter::once(ALL).chain(libraries::ALL.iter().map(|library| library.counters)) {
            assert!(table.len() <= PER_LIBRARY as usize);
            assert!(table.iter().all(|count| names.insert(count.name)), "a name is there twice");
        }
    }

    #[test]
    fn every_counter_is_documented() {
        let docs = include_str!("../../docs/strobe.md");
        for count in
            core::iter::once(ALL).chain(libraries::ALL.iter().map(|library| library.counters)).flatten()
        {
            let of_any_library = count.name.split_once('.').map(|(_, rest)| format!("`*.{rest}`"));
            let is_there = docs.contains(&format!("`{}`", count.name))
                || !count.is_loss && of_any_library.is_some_and(|name| docs.contains(&name));
            assert!(is_there, "{} is not in docs/strobe.md", count.name);
        }
    }
}
