//! What stands in front of a state machine's own bytes in the content of a snapshot.
//!
//! ```text
//! 0  u32  format, 1
//! 4  u32  length of the sessions table in bytes, zero if there is none
//! 8  …    the sessions table, MessagePack
//!    …    what the state machine wrote
//! ```
//!
//! Little-endian. Where the state machine's bytes end, the content ends.

use std::io::{self, Read as _};

/// The format that this version writes, and the only one it reads.
const FORMAT: u32 = 1;
/// The longest sessions table that is read, in bytes: a length that is damaged must not ask for all memory.
const SESSIONS_BYTES_MAX: usize = 256 << 20;

/// Writes the front of a content; what the state machine writes comes behind it.
///
/// # Errors
/// What `writer` says, or `InvalidInput` if the table is longer than is ever read.
pub fn write_header(writer: &mut dyn io::Write, sessions: &[u8]) -> io::Result<()> {
    let length = u32::try_from(sessions.len()).ok().filter(|_| sessions.len() <= SESSIONS_BYTES_MAX);
    let length = length.ok_or_else(|| {
        let what = format!("a sessions table of {} bytes, more than {SESSIONS_BYTES_MAX}", sessions.len());
        io::Error::new(io::ErrorKind::InvalidInput, what)
    })?;
    writer.write_all(&FORMAT.to_le_bytes())?;
    writer.write_all(&length.to_le_bytes())?;
    writer.write_all(sessions)
}

/// Reads the front of a content and returns the sessions table; the state machine's bytes come next.
///
/// # Errors
/// What `reader` says, `UnexpectedEof` if it ends too early, or `InvalidData` if it is of another format.
pub fn read_header(reader: &mut dyn io::Read) -> io::Result<Vec<u8>> {
    let format = read_u32(reader)?;
    if format != FORMAT {
        let what = format!("the content is of format {format}, this version reads {FORMAT}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let length = read_u32(reader)? as usize;
    if length > SESSIONS_BYTES_MAX {
        let what = format!("a sessions table of {length} bytes, more than {SESSIONS_BYTES_MAX}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let mut sessions = Vec::new();
    io::Read::take(reader, length as u64).read_to_end(&mut sessions)?;
    if sessions.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(sessions)
}

fn read_u32(reader: &mut dyn io::Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(sessions: &[u8], state: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_header(&mut bytes, sessions).unwrap();
        bytes.extend_from_slice(state);
        bytes
    }

    #[test]
    fn the_table_comes_back_and_the_state_is_next() {
        for table in [&b""[..], b"a table"] {
            let bytes = content(table, b"state");
            let mut reader = bytes.as_slice();
            assert_eq!(read_header(&mut reader).unwrap(), table);
            assert_eq!(reader, b"state");
        }
    }

    #[test]
    fn the_front_stands_as_it_is_described() {
        assert_eq!(content(b"ab", b"s"), [1, 0, 0, 0, 2, 0, 0, 0, b'a', b'b', b's']);
    }

    #[test]
    fn what_no_version_wrote_is_refused() {
        let kind = |bytes: &[u8]| read_header(&mut &*bytes).unwrap_err().kind();
        assert_eq!(kind(&[2, 0, 0, 0, 0, 0, 0, 0]), io::ErrorKind::InvalidData);
        assert_eq!(kind(&[1, 0, 0, 0, 255, 255, 255, 255]), io::ErrorKind::InvalidData);
        assert_eq!(kind(&content(b"table", b"")[..10]), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[1, 0]), io::ErrorKind::UnexpectedEof);
    }
}
