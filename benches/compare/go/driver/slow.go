package driver

import (
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// Sleeps are those of one kind: how many there were and how long they took.
type Sleeps struct{ count, nanoseconds atomic.Int64 }

var flushes, applies Sleeps

// Disk is a slow disk, as in sut/slow.rs.
type Disk struct {
	flush time.Duration
	// fastest says that no other node's disk is faster.
	fastest bool
}

// SlowDisk is the disk of node n.
func SlowDisk(o Options, n int) Disk {
	return Disk{o.Flush[n], o.Flush[n] == slices.Min(o.Flush[:])}
}

// Flush takes as long as a flush of the disk.
func (d Disk) Flush() {
	if d.fastest {
		flushes.sleep(d.flush)
	} else {
		sleep(d.flush)
	}
}

func (s *Sleeps) sleep(length time.Duration) {
	began := time.Now()
	sleep(length)
	s.nanoseconds.Add(int64(time.Since(began)))
	s.count.Add(1)
}

func (s *Sleeps) meanUS() float64 {
	return float64(s.nanoseconds.Load()) / 1e3 / float64(max(1, s.count.Load()))
}

// sleep keeps its thread, as a flush does: the runtime's own timers would round it up.
func sleep(length time.Duration) {
	until := time.Now().Add(length)
	for left := length; left > 0; left = time.Until(until) {
		pause := syscall.NsecToTimespec(int64(left))
		// An early return is followed by another round.
		_ = syscall.Nanosleep(&pause, nil)
	}
}
