//! What the programs of `database/sql` count.

crate::counters! { Counter:
    /// Spans begun and recorded (sampled).
    Started = "database_sql.started", info;
    /// Operations not recorded because the sampler, or the parent's flag, said so.
    Unsampled = "database_sql.unsampled", info;
    /// Operations whose beginning found no room in the ring.
    BeginningLost = "database_sql.lost.ring_full", loss;
    /// Operations whose end found no room in the ring: the agent counts them as never ended.
    EndUnsent = "database_sql.ends_unsent", info;
    /// Operations that found no room in the in-flight table.
    FlightFull = "database_sql.lost.in_flight_full", loss;
    /// A program in which operations go on could not be reached: the kernel refused the tail call.
    NoTail = "database_sql.lost.tail_call", loss;
    /// Operations of which the goroutine's id or the statement could not be read.
    Unreadable = "database_sql.lost.unreadable", loss;
    /// Operations that a driver has made while it was asked itself, on the same goroutine: their spans are below that operation's.
    Within = "database_sql.within", info;
    /// An operation began on a goroutine whose last one is still open and not around it: that one reached no driver, or its driver panicked or has no
    /// ping. The agent counts it as not sent.
    Replaced = "database_sql.replaced", info;
    /// Ends without an entry: the operation began before the agent came, or nothing could be kept of it.
    Unmatched = "database_sql.ends_unmatched", info;
    /// What was kept is another goroutine's: it was dropped. The agent counts it as never ended.
    Mismatch = "database_sql.mismatch", info;
    /// Operations that were tried again, since their connection was bad.
    Resumed = "database_sql.resumed", info;
    /// Goroutines whose entry was removed when an operation ended, because many are kept.
    GaveWay = "database_sql.gave_way", info;
    /// Rollbacks and commits of transactions that had ended: nothing is sent.
    Done = "database_sql.transaction_done", info;
}
