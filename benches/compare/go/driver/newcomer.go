package driver

import (
	"errors"
	"time"
)

// Growing is a system whose last node comes later.
type Growing interface {
	System
	// Snapshot lets a snapshot of the leader stand for all entries that there are.
	Snapshot() error
	// Grow starts the last node, empty, and has the leader bring it up to date; it may return before it is.
	Grow() error
}

// grow measures how long a node takes that comes when there is something to catch up with, as newcomer.rs does.
func grow(o Options, s Growing) result {
	term := s.Term()
	filled := run(o, s)
	if filled.err != nil {
		return result{Setting: o.Setting, Error: filled.err.Error()}
	}
	took, cpu, err := bringUpToDate(o, s, filled.last)
	if err != nil {
		return result{Setting: o.Setting, Error: err.Error()}
	}
	r := judged(o, s, filled)
	// Entries, or megabytes as bandwidths are told in.
	amount := float64(o.Entries)
	if o.Task == "install" {
		amount = float64(o.StateMiB*block) / 1e6
	}
	r.took(took, amount)
	r.CPUPerOp = cpu * 1e6 / amount
	if err := objection(o, s, term); err != nil && r.Error == "" {
		r.Error = err.Error()
	}
	return r
}

func bringUpToDate(o Options, s Growing, last uint64) (time.Duration, float64, error) {
	// The other follower is no part of it.
	waitFor(o, s.Machines()[Nodes-2], last)
	if o.Task == "install" {
		if err := s.Snapshot(); err != nil {
			return 0, 0, err
		}
	}
	began, cpu := time.Now(), cpuSeconds()
	if err := s.Grow(); err != nil {
		return 0, 0, err
	}
	waitFor(o, s.Machines()[Nodes-1], last)
	return time.Since(began), cpuSeconds() - cpu, nil
}

// objection says why the number would not be of what it says.
func objection(o Options, s Growing, term uint64) error {
	restored := s.Machines()[Nodes-1].isRestored()
	switch {
	case s.Term() != term:
		return errors.New("there was an election")
	case o.Task == "install" && !restored:
		return errors.New("the newcomer got entries and no snapshot")
	case o.Task == "catch-up" && restored:
		return errors.New("the newcomer got a snapshot")
	}
	return nil
}
