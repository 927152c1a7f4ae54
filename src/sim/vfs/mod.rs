//! A disk that loses power, fails and rots on command.
