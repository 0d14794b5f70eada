//! Sequences that happened on real machines, step by step.
