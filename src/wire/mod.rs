//! Codecs: what requests and answers look like as bytes.
