//! Histories told by hand, and random ones held against the definition.

mod export;
mod lies;
mod random;
mod recording;
mod speed;
mod stories;
mod support;
