package driver

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// System is one of the compared systems, running with a leader.
type System interface {
	// Write replicates a command; it returns when the leader's state machine has applied it.
	Write(data []byte) (Position, error)
	// Read confirms that a read would be linearizable.
	Read() error
	// Machines are the nodes' state machines, whoever leads.
	Machines() []*Machine
	// Term is the present term.
	Term() uint64
}

const (
	warming = iota
	measuring
	finished
)

// sample is how many operations pass between two that are timed: as in load.rs.
const sample = 8

// tally is what one client saw.
type tally struct {
	acked    Digest
	last     uint64
	measured uint64
	times    []int64
	err      error
}

type load struct {
	options Options
	system  System
	phase   atomic.Int32
	due     chan time.Time
}

// measured is what all clients saw.
type measured struct {
	acked   Digest
	last    uint64
	ops     uint64
	seconds float64
	cpu     float64
	times   *hdrhistogram.Histogram
	err     error
}

func run(o Options, s System) measured {
	l := &load{options: o, system: s}
	if o.Rate > 0 {
		l.due = make(chan time.Time, 1<<20)
		go l.offer()
	}
	tallies := make([]tally, o.Clients)
	var clients sync.WaitGroup
	for n := range tallies {
		clients.Go(func() { tallies[n] = l.client(uint64(n)) })
	}
	time.Sleep(o.Warm)
	began, cpu := time.Now(), cpuSeconds()
	l.phase.Store(measuring)
	time.Sleep(o.Run)
	l.phase.Store(finished)
	m := measured{seconds: time.Since(began).Seconds(), cpu: cpuSeconds() - cpu}
	clients.Wait()
	m.times = hdrhistogram.New(1, int64(time.Minute), 3)
	for _, t := range tallies {
		m.acked.Merge(t.acked)
		m.last = max(m.last, t.last)
		m.ops += t.measured
		for _, ns := range t.times {
			// Longer than a minute is a failure, and told as one.
			_ = m.times.RecordValue(max(1, ns))
		}
		if m.err == nil {
			m.err = t.err
		}
	}
	return m
}

func (l *load) client(n uint64) (t tally) {
	for count := uint64(0); l.phase.Load() != finished; count++ {
		began, timed := l.begin(count)
		if l.phase.Load() == finished {
			break
		}
		if t.err = l.operation(n, count, &t); t.err != nil {
			break
		}
		if l.phase.Load() == measuring {
			t.measured++
			if timed {
				t.times = append(t.times, int64(time.Since(began)))
			}
		}
	}
	return t
}

// begin is when the operation was meant to start; an open loop waits for that.
func (l *load) begin(count uint64) (time.Time, bool) {
	if l.due != nil {
		return <-l.due, true
	}
	if count%sample == 0 {
		return time.Now(), true
	}
	return time.Time{}, false
}

func (l *load) operation(client, count uint64, t *tally) error {
	if l.options.Reads {
		return l.system.Read()
	}
	data := make([]byte, l.options.Payload)
	Fill(data, client, count)
	at, err := l.system.Write(data)
	if err == nil {
		t.acked.Add(at, data)
		t.last = max(t.last, at.Index)
	}
	return err
}

// offer hands out a Poisson schedule, late by what the system's sleep is late and no more. Latency counts from
// the schedule, so that waiting for a client counts too.
func (l *load) offer() {
	runtime.LockOSThread()
	random := rand.New(rand.NewPCG(1, 2))
	next := time.Now()
	for l.phase.Load() != finished {
		if wait := time.Until(next); wait > 0 {
			pause := syscall.NsecToTimespec(int64(wait))
			// An early return is followed by another round.
			_ = syscall.Nanosleep(&pause, nil)
			continue
		}
		l.due <- next
		next = next.Add(time.Duration(-math.Log(1-random.Float64()) / l.options.Rate * 1e9))
	}
	close(l.due)
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	of := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return of(usage.Utime) + of(usage.Stime)
}
