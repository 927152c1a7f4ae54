package driver

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ElectionTimeout is the least time without a leader before a node stands, where fail-over is measured: each waits
// between this and twice as much, in every system, and heartbeats come at a third or less.
const ElectionTimeout = 150 * time.Millisecond

const (
	failoverStep  = time.Millisecond
	failoverWrite = 250 * time.Millisecond
	failoverRest  = 700 * time.Millisecond
	// leaderless is how long a cluster may be without a leader before the run has failed.
	leaderless = 20 * time.Second
)

// Cuttable is a system of which one node can be cut off from the others.
type Cuttable interface {
	System
	// Leads says whether a node leads, as far as it knows.
	Leads(node int) bool
	// WriteAt replicates a command through a node.
	WriteAt(node int, data []byte) (Position, error)
	// Cut lets nothing go to a node or come from it, until it is healed.
	Cut(node int, cut bool)
}

// failover cuts leaders off under load, as fail_over.rs does: one over the median time without a leader is told as
// operations a second.
type failover struct {
	options  Options
	system   Cuttable
	cut      atomic.Int32
	finished atomic.Bool
	acked    atomic.Uint64
	last     atomic.Uint64
}

func (f *failover) run() result {
	f.cut.Store(-1)
	var clients sync.WaitGroup
	for range f.options.Clients {
		clients.Go(f.client)
	}
	times, err := f.cutAll()
	f.finished.Store(true)
	clients.Wait()
	r := result{Setting: f.options.Setting, Acked: f.acked.Load(), Index: f.last.Load()}
	if err != nil {
		r.Error = err.Error()
	}
	if len(times) > 0 {
		slices.Sort(times)
		us := func(d time.Duration) float64 { return float64(d) / 1e3 }
		r.P50, r.P99 = us(times[len(times)/2]), us(times[len(times)-1])
		r.P999, r.OpsPerS = r.P99, 1e6/r.P50
	}
	r.Agree = f.agree()
	return r
}

func (f *failover) agree() bool {
	// What was under way when the load ended settles.
	time.Sleep(failoverRest)
	var first Digest
	for n, machine := range f.system.Machines() {
		waitFor(f.options, machine, f.last.Load())
		_, digest, _, broken := machine.state()
		if n == 0 {
			first = digest
		}
		if broken || digest != first || digest.Count < f.acked.Load() {
			return false
		}
	}
	return true
}

func (f *failover) cutAll() ([]time.Duration, error) {
	var times []time.Duration
	for range f.options.Cuts {
		time.Sleep(failoverRest)
		leader, err := f.find(-1)
		if err != nil {
			return times, err
		}
		f.system.Cut(leader, true)
		f.cut.Store(int32(leader))
		for began := time.Now(); ; {
			next, err := f.find(leader)
			if err != nil {
				return times, err
			}
			if f.write(next) == nil {
				times = append(times, time.Since(began))
				break
			}
		}
		f.cut.Store(-1)
		f.system.Cut(leader, false)
	}
	return times, nil
}

// find waits for a node that leads and is not besides.
func (f *failover) find(besides int) (int, error) {
	for until := time.Now().Add(leaderless); time.Now().Before(until); time.Sleep(failoverStep) {
		if leader := f.leader(besides); leader >= 0 {
			return leader, nil
		}
	}
	return -1, fmt.Errorf("no leader for %v", leaderless)
}

func (f *failover) leader(besides int) int {
	for n := range Nodes {
		if n != besides && f.system.Leads(n) {
			return n
		}
	}
	return -1
}

func (f *failover) client() {
	for !f.finished.Load() {
		leader := f.leader(int(f.cut.Load()))
		if leader < 0 || f.write(leader) != nil {
			time.Sleep(failoverStep)
		}
	}
}

var errLate = errors.New("no answer in time")

// write gives up when there is no answer; who answers later is not heard.
func (f *failover) write(node int) error {
	type answer struct {
		at  Position
		err error
	}
	done := make(chan answer, 1)
	go func() {
		at, err := f.system.WriteAt(node, make([]byte, f.options.Payload))
		done <- answer{at, err}
	}()
	late := time.NewTimer(failoverWrite)
	defer late.Stop()
	select {
	case <-late.C:
		return errLate
	case a := <-done:
		if a.err != nil {
			return a.err
		}
		f.acked.Add(1)
		for last := f.last.Load(); a.at.Index > last && !f.last.CompareAndSwap(last, a.at.Index); {
			last = f.last.Load()
		}
		return nil
	}
}
