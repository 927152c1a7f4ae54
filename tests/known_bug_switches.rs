//! Each switch changes what the code beside it does.
