//! What the log promises, one by one.

use super::*;
