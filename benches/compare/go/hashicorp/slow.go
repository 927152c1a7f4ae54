package main

import (
	"github.com/hashicorp/raft"

	"raftix/compare/driver"
)

// slowStore is memory whose flush takes time, like a log on a slow disk.
type slowStore struct {
	*raft.InmemStore
	disk driver.Disk
}

func (s slowStore) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

func (s slowStore) StoreLogs(logs []*raft.Log) error {
	s.disk.Flush()
	return s.InmemStore.StoreLogs(logs)
}

func (s slowStore) DeleteRange(first, last uint64) error {
	s.disk.Flush()
	return s.InmemStore.DeleteRange(first, last)
}

func (s slowStore) Set(key, value []byte) error {
	s.disk.Flush()
	return s.InmemStore.Set(key, value)
}

func (s slowStore) SetUint64(key []byte, value uint64) error {
	s.disk.Flush()
	return s.InmemStore.SetUint64(key, value)
}
