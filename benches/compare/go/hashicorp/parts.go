package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"

	"raftix/compare/driver"
)

// cached is how many entries stay before a log that is on disk, as its users have it.
const cached = 8192

type network struct {
	addresses  []string
	transports []raft.Transport
	// memory is the same transports where they are in memory.
	memory []*raft.InmemTransport
}

func open(o driver.Options, s setting) (*network, error) {
	if o.Transport == "memory" {
		return inMemory(), nil
	}
	addresses, err := addresses(o)
	if err != nil {
		return nil, err
	}
	n := &network{addresses: addresses}
	for _, address := range addresses {
		advertised, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			return nil, err
		}
		transport, err := raft.NewTCPTransportWithConfig(address, advertised, &raft.NetworkTransportConfig{
			MaxPool: 3, MaxRPCsInFlight: s.inFlight, Timeout: 10 * time.Second,
			Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard}),
		})
		if err != nil {
			return nil, err
		}
		n.transports = append(n.transports, transport)
	}
	return n, nil
}

func inMemory() *network {
	n := &network{}
	for range driver.Nodes {
		address, transport := raft.NewInmemTransport("")
		n.addresses = append(n.addresses, string(address))
		n.transports = append(n.transports, transport)
		n.memory = append(n.memory, transport)
	}
	for node := range n.memory {
		n.cut(node, false)
	}
	return n
}

// cut takes a node's connections away in both directions, or gives them back.
func (n *network) cut(node int, cut bool) {
	for other := range n.memory {
		if other == node {
			continue
		}
		for _, way := range [][2]int{{node, other}, {other, node}} {
			from, to := n.memory[way[0]], way[1]
			if cut {
				from.Disconnect(raft.ServerAddress(n.addresses[to]))
			} else {
				from.Connect(raft.ServerAddress(n.addresses[to]), n.memory[to])
			}
		}
	}
}

func (n *network) configuration(founders int) raft.Configuration {
	var c raft.Configuration
	for i, address := range n.addresses[:founders] {
		c.Servers = append(c.Servers, raft.Server{ID: id(i), Address: raft.ServerAddress(address)})
	}
	return c
}

// addresses are free ones; those of the first start when this is a second, since the log names them.
func addresses(o driver.Options) ([]string, error) {
	file := filepath.Join(o.Data, "addresses.json")
	var found []string
	if o.Recover > 0 {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		return found, json.Unmarshal(text, &found)
	}
	for range driver.Nodes {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		found = append(found, listener.Addr().String())
		defer listener.Close()
	}
	if o.Log != "disk" {
		return found, nil
	}
	text, err := json.Marshal(found)
	if err != nil {
		return nil, err
	}
	return found, os.WriteFile(file, text, 0o644)
}

type stores struct {
	logs      raft.LogStore
	stable    raft.StableStore
	snapshots raft.SnapshotStore
}

func openSnapshots(o driver.Options, n int) (raft.SnapshotStore, error) {
	if o.StateMiB == 0 {
		return raft.NewDiscardSnapshotStore(), nil
	}
	return raft.NewFileSnapshotStore(filepath.Join(o.Data, string(id(n))), 1, io.Discard)
}

func openStores(o driver.Options, s setting, n int) (stores, error) {
	snapshots, err := openSnapshots(o, n)
	if err != nil {
		return stores{}, err
	}
	switch o.Log {
	case "memory":
		store := raft.NewInmemStore()
		return stores{store, store, snapshots}, nil
	case "slow":
		store := slowStore{raft.NewInmemStore(), driver.SlowDisk(o, n)}
		return stores{store, store, snapshots}, nil
	}
	dir := filepath.Join(o.Data, string(id(n)))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return stores{}, err
	}
	var store interface {
		raft.LogStore
		raft.StableStore
	}
	switch s.store {
	case "wal":
		store, err = wal.Open(dir)
	case "bolt":
		store, err = boltdb.New(boltdb.Options{Path: filepath.Join(dir, "raft.db")})
	default:
		err = fmt.Errorf("no such store: %s", s.store)
	}
	if err != nil {
		return stores{}, err
	}
	logs, err := raft.NewLogCache(cached, store)
	return stores{logs, store, snapshots}, err
}
