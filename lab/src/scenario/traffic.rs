//! Traffic with sequence numbers.
