package driver

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Position is where an entry lies in the log.
type Position struct{ Index, Term uint64 }

// Digest is a sum over entries, each hashed with its index, its term, its length and its bytes. A sum, so that
// clients may add what was acknowledged in any order; the index within makes it say the order all the same.
type Digest struct{ Count, Sum uint64 }

// Add takes an entry in.
func (d *Digest) Add(at Position, data []byte) {
	d.Count++
	d.Sum += hash(at, data)
}

// Merge takes another digest in.
func (d *Digest) Merge(other Digest) {
	d.Count += other.Count
	d.Sum += other.Sum
}

func hash(at Position, data []byte) uint64 {
	h := xxhash.Sum64(data)
	h ^= at.Index * 0x9e3779b97f4a7c15
	h ^= bits.RotateLeft64(at.Term*0xc2b2ae3d27d4eb4f, 31)
	h ^= bits.RotateLeft64(uint64(len(data))*0x165667b19e3779f9, 17)
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Machine is the state machine of one node: the digest of what was applied, in order and once.
type Machine struct {
	mu      sync.Mutex
	digest  Digest
	upto    uint64
	prefix  Digest
	applied uint64
	broken  bool
	delay   time.Duration
	// stateMiB is how large the state is that a snapshot holds beside this.
	stateMiB uint64
	// restored says that it began with a snapshot.
	restored bool
}

// NewMachine makes a machine that also keeps the digest of the entries up to an index, and takes its time if the
// options say so.
func NewMachine(o Options) *Machine {
	return &Machine{upto: o.Recover, delay: o.Apply, stateMiB: o.StateMiB}
}

// Apply takes the next entries in, under one lock: each calls the function it is given.
func (m *Machine) Apply(entries func(one func(Position, []byte))) {
	m.mu.Lock()
	defer m.mu.Unlock()
	entries(m.one)
}

func (m *Machine) one(at Position, data []byte) {
	if m.delay > 0 {
		applies.sleep(m.delay)
	}
	if at.Index <= m.applied {
		m.broken = true
	}
	m.applied = at.Index
	m.digest.Add(at, data)
	if at.Index <= m.upto {
		m.prefix.Add(at, data)
	}
}

func (m *Machine) state() (applied uint64, digest, prefix Digest, broken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied, m.digest, m.prefix, m.broken
}

// Fill writes a command of its own into data: the client and its count, then a pattern.
func Fill(data []byte, client, count uint64) {
	if len(data) >= 8 {
		binary.LittleEndian.PutUint64(data, client<<40|count)
	}
}
