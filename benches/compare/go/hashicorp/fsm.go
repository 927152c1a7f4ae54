package main

import (
	"io"

	"github.com/hashicorp/raft"

	"raftix/compare/driver"
)

// fsm hands what is committed to the machine, a batch at a time.
type fsm struct{ machine *driver.Machine }

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

func (f *fsm) Snapshot() (raft.FSMSnapshot, error) { return snapshot{f.machine.State()}, nil }

func (f *fsm) Restore(content io.ReadCloser) error {
	defer content.Close()
	return f.machine.Restore(content)
}

// snapshot is the state as of one moment.
type snapshot struct{ state driver.State }

func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.state.Write(sink); err != nil {
		// What it was written for is gone; the error that counts is the first.
		_ = sink.Cancel()
		return err
	}
	return sink.Close()
}

func (snapshot) Release() {}
