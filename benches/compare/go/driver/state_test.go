package driver

import (
	"bytes"
	"testing"
)

func TestAStateComesBackAsItWas(t *testing.T) {
	m := NewMachine(Options{StateMiB: 2})
	m.one(Position{Index: 3, Term: 1}, []byte("raft"))
	var content bytes.Buffer
	if err := m.State().Write(&content); err != nil {
		t.Fatal(err)
	}
	other := NewMachine(Options{Recover: 3})
	if err := other.Restore(bytes.NewReader(content.Bytes())); err != nil {
		t.Fatal(err)
	}
	if other.digest != m.digest || other.prefix != m.digest || other.applied != 3 || !other.isRestored() {
		t.Fatalf("%+v came back as %+v", m.digest, other.digest)
	}
	content.Bytes()[content.Len()-1] ^= 1
	if other.Restore(&content) == nil {
		t.Fatal("a wrong byte was taken")
	}
}
