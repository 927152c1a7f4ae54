package driver

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// block is how much of a state's pattern has its number in front.
const block = 1 << 20

func pattern() []byte {
	b := make([]byte, block)
	for at := range b {
		b[at] = byte(at % 251)
	}
	return b
}

// State is what a snapshot holds: what a machine knows of commands, then as many MiB of a pattern as the options say.
// Neither side holds them: they stream, and who restores compares every byte. As state.rs has it.
type State struct {
	numbers [4]uint64
}

// State is the state as of now.
func (m *Machine) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return State{[4]uint64{m.applied, m.digest.Count, m.digest.Sum, m.stateMiB}}
}

// Write writes the state.
func (s State) Write(w io.Writer) error {
	if err := binary.Write(w, binary.LittleEndian, s.numbers); err != nil {
		return err
	}
	b := pattern()
	for number := range s.numbers[3] {
		binary.LittleEndian.PutUint64(b, number)
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// Restore replaces the state by what was written.
func (m *Machine) Restore(r io.Reader) error {
	var s State
	if err := binary.Read(r, binary.LittleEndian, &s.numbers); err != nil {
		return err
	}
	b, found := pattern(), make([]byte, block)
	for number := range s.numbers[3] {
		binary.LittleEndian.PutUint64(b, number)
		if _, err := io.ReadFull(r, found); err != nil {
			return err
		}
		if !bytes.Equal(found, b) {
			return fmt.Errorf("MiB %d of the state", number)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied, m.digest = s.numbers[0], Digest{Count: s.numbers[1], Sum: s.numbers[2]}
	m.stateMiB, m.restored, m.broken, m.prefix = s.numbers[3], true, false, Digest{}
	if m.applied <= m.upto {
		m.prefix = m.digest
	}
	return nil
}

func (m *Machine) isRestored() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.restored
}
