//! The contract of [`LogStore`](super::LogStore) as a test that any store can run.
