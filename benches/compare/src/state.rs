//! What a state machine writes as a snapshot and reads again: what it knows of commands, then as many MiB of a pattern
//! as the job says. Neither side holds them: they stream, and who restores compares every byte.
//! `go/driver/state.go` is the counterpart.

use std::io::{self, Read, Write};

use crate::digest::{Digest, Machine};

const BLOCK: usize = 1 << 20;

/// The pattern, in which each block has its number in front.
struct Block(Vec<u8>);

impl Block {
    fn new() -> Self {
        Self((0..BLOCK).map(|at| (at % 251) as u8).collect())
    }

    fn number(&mut self, number: u64) -> &[u8] {
        self.0[..8].copy_from_slice(&number.to_le_bytes());
        &self.0
    }
}

/// How many bytes of pattern a machine of this size writes.
pub(crate) const fn bytes(mib: u64) -> u64 {
    mib * BLOCK as u64
}

/// Writes the state.
pub(crate) fn write(machine: &Machine, writer: &mut (impl Write + ?Sized)) -> io::Result<()> {
    for number in [machine.applied, machine.digest.count, machine.digest.sum, machine.state_mib] {
        writer.write_all(&number.to_le_bytes())?;
    }
    let mut block = Block::new();
    (0..machine.state_mib).try_for_each(|number| writer.write_all(block.number(number)))
}

/// Replaces the state by what was written.
pub(crate) fn read(machine: &mut Machine, reader: &mut (impl Read + ?Sized)) -> io::Result<()> {
    let mut numbers = [0; 4];
    for number in &mut numbers {
        let mut bytes = [0; 8];
        reader.read_exact(&mut bytes)?;
        *number = u64::from_le_bytes(bytes);
    }
    let [applied, count, sum, state_mib] = numbers;
    let (mut block, mut found) = (Block::new(), vec![0; BLOCK]);
    for number in 0..state_mib {
        reader.read_exact(&mut found)?;
        if found != block.number(number) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("MiB {number} of the state")));
        }
    }
    let digest = Digest { count, sum };
    let known = applied <= machine.upto;
    let prefix = if known { digest } else { Digest::default() };
    *machine =
        Machine { applied, digest, prefix, state_mib, restored: true, ..Machine::new(machine.upto, 0) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Position;

    fn written() -> (Machine, Vec<u8>) {
        let mut machine = Machine::new(0, 2);
        machine.apply(Position { index: 3, term: 1 }, b"raft");
        let mut content = Vec::new();
        write(&machine, &mut content).expect("memory takes it");
        (machine, content)
    }

    #[test]
    fn a_state_comes_back_as_it_was() {
        let (machine, content) = written();
        let mut other = Machine::new(3, 0);
        read(&mut other, &mut &content[..]).expect("it is whole");
        assert_eq!((other.applied, other.digest, other.state_mib), (3, machine.digest, 2));
        assert!(other.restored && other.prefix == machine.digest);
    }

    #[test]
    fn one_wrong_byte_or_a_missing_one_is_refused() {
        let (_, mut content) = written();
        assert!(read(&mut Machine::new(0, 0), &mut &content[..content.len() - 1]).is_err());
        *content.last_mut().expect("it has content") ^= 1;
        assert!(read(&mut Machine::new(0, 0), &mut &content[..]).is_err());
    }
}
