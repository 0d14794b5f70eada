//! Which messages of a batch are from which call: what the programs say piece by piece, put together when the batch is sent.
//!
//! A call's messages for a partition are its *share*. The writer adds them to the partition's batches under a lock: to the one that is not full,
//! and to new ones. So a share is one piece of each of some batches in a row, which are sent in that order. Where each piece begins is said when
//! the call comes and when it begins a batch; where it ends follows from how long the batch is and how much of the share is left. A piece that
//! is not told of is a gap, which is nobody's: never another's.

use std::collections::{BTreeMap, HashMap};

use runtime_ebpf::{
    kafka_go::records::{Batch, Joined, KIND_JOINED},
    record::Head,
};

/// Pieces that are kept of one process; the oldest batches are given up first.
const MOST_PIECES: usize = 65_536;
/// About what one takes, with its share and its call.
pub const PIECE_BYTES: usize = 192;

/// Whose span it is that sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub trace_flags: u8,
}

/// Messages in a row that are from one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first one's place in its batch.
    pub first: u64,
    pub count: u64,
    pub sender: Sender,
}

/// Messages of a call for one partition.
#[derive(Debug)]
struct Share {
    goid: u64,
    sender: Sender,
    /// Messages of which it is not known yet in which batch they are.
    left: u64,
    /// Pieces that were told of.
    pieces: u64,
    /// Pieces of batches that have been sent.
    settled: u64,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Messages that were there before it.
    first: u64,
    /// The share's number.
    share: u64,
    /// Which of its pieces.
    nth: u64,
}

/// What a goroutine was last told to be doing.
#[derive(Debug)]
struct Call {
    start_ns: u64,
    /// The last record's number.
    nth: u64,
    share: u64,
}

/// The batches of one process that have not been sent.
#[derive(Debug, Default)]
pub struct Batches {
    /// By goroutine.
    calls: HashMap<u64, Call>,
    /// By number.
    shares: BTreeMap<u64, Share>,
    pieces: HashMap<Batch, (u64, Vec<Piece>)>,
    /// The batches by the number of their first piece.
    order: BTreeMap<u64, Batch>,
    piece_count: usize,
    next: u64,
}

impl Batches {
    /// A record of one of both kinds. Whether it is of use: one before it may have been lost.
    pub fn joined(&mut self, head: &Head, joined: &Joined) -> bool {
        self.next += 1;
        if head.kind == KIND_JOINED {
            let sender =
                Sender { trace_id: head.trace_id, span_id: head.span_id, trace_flags: head.trace_flags };
            let share = Share { goid: joined.goid, sender, left: joined.count, pieces: 0, settled: 0 };
            self.shares.insert(self.next, share);
            let call = Call { start_ns: head.start_ns, nth: joined.nth, share: self.next };
            self.calls.insert(joined.goid, call);
            if joined.batch.address != 0 {
                self.add(joined.batch, joined.size, self.next);
            }
            return true;
        }
        let Some(call) = self.calls.get_mut(&joined.goid) else { return false };
        if call.start_ns != head.start_ns || call.nth.wrapping_add(1) != joined.nth {
            let share = call.share;
            self.end(share);
            return false;
        }
        call.nth = joined.nth;
        let share = call.share;
        // One that was at the same address is another's.
        self.add(joined.batch, 0, share);
        true
    }

    fn add(&mut self, batch: Batch, first: u64, number: u64) {
        let Some(share) = self.shares.get_mut(&number) else { return };
        let piece = Piece { first, share: number, nth: share.pieces };
        share.pieces += 1;
        let (_, pieces) = self.pieces.entry(batch).or_insert_with(|| {
            self.order.insert(self.next, batch);
            (self.next, Vec::new())
        });
        pieces.push(piece);
        self.piece_count += 1;
    }

    /// A share is no longer of interest.
    fn end(&mut self, number: u64) {
        let Some(share) = self.shares.remove(&number) else { return };
        if self.calls.get(&share.goid).is_some_and(|call| call.share == number) {
            self.calls.remove(&share.goid);
        }
    }

    /// The batch is sent, and has so many messages: whose they are, as far as that is known, and how many pieces of it are not.
    pub fn sent(&mut self, batch: &Batch, len: u64) -> (Vec<Run>, u64) {
        let Some((number, mut pieces)) = self.pieces.remove(batch) else { return (Vec::new(), 0) };
        self.order.remove(&number);
        self.piece_count -= pieces.len();
        pieces.sort_by_key(|piece| (piece.first, piece.share));
        let (mut runs, mut unknown) = (Vec::new(), 0);
        for (at, piece) in pieces.iter().enumerate() {
            let end = pieces.get(at + 1).map_or(len, |next| next.first).min(len);
            let Some(share) = self.shares.get_mut(&piece.share).filter(|share| share.settled == piece.nth)
            else {
                // A batch with a piece before this one was not seen to be sent: nobody knows how much is left.
                unknown += 1;
                self.end(piece.share);
                continue;
            };
            let count = end.saturating_sub(piece.first).min(share.left);
            share.settled += 1;
            share.left -= count;
            if count > 0 {
                runs.push(Run { first: piece.first, count, sender: share.sender });
            }
            if share.left == 0 {
                self.end(piece.share);
            }
        }
        (runs, unknown)
    }

    /// About how much memory is taken.
    pub fn held_bytes(&self) -> usize {
        (self.piece_count + self.shares.len()) * PIECE_BYTES
    }

    /// Gives up what is too much, the oldest first; how many batches and shares that were.
    pub fn shed(&mut self, most: usize) -> u64 {
        let mut given_up = 0;
        while self.piece_count > most
            && let Some((_, batch)) = self.order.pop_first()
        {
            self.piece_count -= self.pieces.remove(&batch).map_or(0, |(_, pieces)| pieces.len());
            given_up += 1;
        }
        while self.shares.len() > most
            && let Some((number, _)) = self.shares.first_key_value()
        {
            self.end(*number);
            given_up += 1;
        }
        given_up
    }

    /// The same, at the bound that always holds.
    pub fn keep_within(&mut self) -> u64 {
        self.shed(MOST_PIECES)
    }
}

#[cfg(test)]
#[path = "batches_tests.rs"]
mod tests;
