//! Bytes change where they lie.
