//! What the probes saw, as data and text.
