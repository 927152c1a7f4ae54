package driver

import "testing"

// The same entries as in digest.rs, with the same sum.
func TestTheDigestIsTheSameInBothLanguages(t *testing.T) {
	var d Digest
	d.Add(Position{Index: 1, Term: 1}, nil)
	d.Add(Position{Index: 2, Term: 1}, []byte("raft"))
	d.Add(Position{Index: 3, Term: 7}, make([]byte, 256))
	if d.Count != 3 || d.Sum != 0x6d982367e37d80db {
		t.Fatalf("%d entries, sum %#x", d.Count, d.Sum)
	}
}
