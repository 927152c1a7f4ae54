package main

import (
	"errors"
	"io"

	"github.com/hashicorp/raft"

	"raftix/compare/driver"
)

// fsm hands what is committed to the machine, a batch at a time.
type fsm struct{ machine *driver.Machine }

var errNoSnapshots = errors.New("the comparison takes no snapshots")

func (f *fsm) Apply(log *raft.Log) any { return f.ApplyBatch([]*raft.Log{log})[0] }

func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	f.machine.Apply(func(one func(driver.Position, []byte)) {
		for _, log := range logs {
			if log.Type == raft.LogCommand {
				one(driver.Position{Index: log.Index, Term: log.Term}, log.Data)
			}
		}
	})
	return make([]any, len(logs))
}

func (f *fsm) Snapshot() (raft.FSMSnapshot, error) { return nil, errNoSnapshots }

func (f *fsm) Restore(io.ReadCloser) error { return errNoSnapshots }
