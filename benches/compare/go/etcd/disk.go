package main

import (
	"fmt"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	"raftix/compare/driver"
)

// disk is what makes a log durable: etcd's own write-ahead log, or nothing that takes its time.
type disk struct {
	wal  *wal.WAL
	slow driver.Disk
	last pb.HardState
}

func (d *disk) save(state *pb.HardState, entries []*pb.Entry) error {
	if d.wal != nil {
		return d.wal.Save(state, entries)
	}
	if state == nil {
		state = &d.last
	}
	// A commit index alone need not be durable, here as in the wal.
	if raft.MustSync(state, &d.last, len(entries)) {
		d.slow.Flush()
	}
	d.last.Term, d.last.Vote = state.Term, state.Vote
	return nil
}

// openDisk begins a log, or reads one that is there into storage.
func openDisk(o driver.Options, id uint64, storage *raft.MemoryStorage) (*disk, error) {
	if o.Log == "slow" {
		return &disk{slow: driver.SlowDisk(o, int(id-1))}, nil
	}
	dir := filepath.Join(o.Data, fmt.Sprintf("n%d", id))
	metadata := founding().GetMetadata()
	first := &walpb.Snapshot{Index: metadata.Index, Term: metadata.Term, ConfState: metadata.ConfState}
	if o.Recover == 0 {
		log, err := wal.Create(zap.NewNop(), dir, nil)
		if err != nil {
			return nil, err
		}
		return &disk{wal: log}, log.SaveSnapshot(first)
	}
	log, err := wal.Open(zap.NewNop(), dir, first)
	if err != nil {
		return nil, err
	}
	_, state, entries, err := log.ReadAll()
	if err != nil {
		return nil, err
	}
	if err := storage.SetHardState(state); err != nil {
		return nil, err
	}
	return &disk{wal: log}, storage.Append(entries)
}
