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
	// Opened is how long the first node took to start, nothing else running.
	Opened() time.Duration
}

const (
	warming = iota
	measuring
	finished
)

// sample is how many operations pass between two that are timed: as in load.rs.
func (o Options) sample() uint64 {
	if o.Log == "slow" {
		return 1
	}
	return 8
}

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
	if o.Entries > 0 {
		return l.fill()
	}
	var tallies []tally
	var clients sync.WaitGroup
	if o.Rate > 0 {
		tallies = make([]tally, 1)
		clients.Go(func() { l.open(&tallies[0]) })
	} else {
		tallies = make([]tally, o.Clients)
		for n := range tallies {
			clients.Go(func() { tallies[n] = l.closed(uint64(n)) })
		}
	}
	time.Sleep(o.Warm)
	began, cpu := time.Now(), cpuSeconds()
	l.phase.Store(measuring)
	time.Sleep(o.Run)
	l.phase.Store(finished)
	m := measured{seconds: time.Since(began).Seconds(), cpu: cpuSeconds() - cpu}
	clients.Wait()
	m.take(tallies)
	return m
}

// fill writes as many commands as the options say, shared out among the clients.
func (l *load) fill() measured {
	tallies := make([]tally, l.options.Clients)
	var clients sync.WaitGroup
	began, cpu := time.Now(), cpuSeconds()
	count := uint64(l.options.Clients)
	for n := range tallies {
		share := l.options.Entries / count
		if uint64(n) < l.options.Entries%count {
			share++
		}
		clients.Go(func() {
			t := &tallies[n]
			for ; t.measured < share && t.err == nil; t.measured++ {
				t.err = l.operation(uint64(n), t.measured, t)
			}
		})
	}
	clients.Wait()
	m := measured{seconds: time.Since(began).Seconds(), cpu: cpuSeconds() - cpu}
	m.take(tallies)
	return m
}

// take adds up what the clients saw.
func (m *measured) take(tallies []tally) {
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
}

func (l *load) closed(n uint64) (t tally) {
	sample := l.options.sample()
	for count := uint64(0); l.phase.Load() != finished; count++ {
		timed := count%sample == 0
		var began time.Time
		if timed {
			began = time.Now()
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

// open offers a Poisson schedule, each operation on a goroutine of its own that starts when it is due, whatever the
// others do. It is late by what the system's sleep is late and no more, and latency counts from the schedule.
func (l *load) open(all *tally) {
	runtime.LockOSThread()
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	var operations sync.WaitGroup
	next := time.Now()
	for n := uint64(0); l.phase.Load() != finished; n++ {
		for wait := time.Until(next); wait > 0; wait = time.Until(next) {
			pause := syscall.NsecToTimespec(int64(wait))
			// An early return is followed by another round.
			_ = syscall.Nanosleep(&pause, nil)
		}
		due, counts := next, l.phase.Load() == measuring
		operations.Go(func() {
			var t tally
			err := l.operation(n, 0, &t)
			mu.Lock()
			defer mu.Unlock()
			all.acked.Merge(t.acked)
			all.last = max(all.last, t.last)
			if err != nil {
				all.err = err
			} else if counts {
				all.measured++
				all.times = append(all.times, int64(time.Since(due)))
			}
		})
		next = next.Add(time.Duration(-math.Log(1-random.Float64()) / l.options.Rate * 1e9))
	}
	operations.Wait()
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

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	of := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return of(usage.Utime) + of(usage.Stime)
}
