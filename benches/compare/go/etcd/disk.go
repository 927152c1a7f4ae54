package main

import (
	"fmt"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3"
	"go.uber.org/zap"

	"raftix/compare/driver"
)

// disk is etcd's own write-ahead log.
type disk struct{ wal *wal.WAL }

// openDisk begins a log, or reads one that is there into storage.
func openDisk(o driver.Options, id uint64, storage *raft.MemoryStorage) (*disk, error) {
	dir := filepath.Join(o.Data, fmt.Sprintf("n%d", id))
	metadata := founding().GetMetadata()
	first := &walpb.Snapshot{Index: metadata.Index, Term: metadata.Term, ConfState: metadata.ConfState}
	if o.Recover == 0 {
		log, err := wal.Create(zap.NewNop(), dir, nil)
		if err != nil {
			return nil, err
		}
		return &disk{log}, log.SaveSnapshot(first)
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
	return &disk{log}, storage.Append(entries)
}
