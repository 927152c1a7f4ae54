//! A cluster that lost its majority, recovered from the directory of one survivor: real files, real threads, real time.

mod survivors;
mod words;
