// Command hashicorp measures hashicorp/raft as the comparison's other systems are measured.
package main

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"raftix/compare/driver"
)

// setting is the part of the configuration that the cells try out; the best of them counts.
type setting struct {
	appendEntries int
	inFlight      int
	store         string
}

// parse reads a name such as `append1024-inflight16-bolt`.
func parse(name string) (setting, error) {
	s := setting{appendEntries: 64, inFlight: 2, store: "wal"}
	for part := range strings.SplitSeq(name, "-") {
		switch {
		case part == "wal" || part == "bolt":
			s.store = part
		case strings.HasPrefix(part, "append"):
			if _, err := fmt.Sscanf(part, "append%d", &s.appendEntries); err != nil {
				return s, err
			}
		case strings.HasPrefix(part, "inflight"):
			if _, err := fmt.Sscanf(part, "inflight%d", &s.inFlight); err != nil {
				return s, err
			}
		case part != "":
			return s, fmt.Errorf("no such setting: %s", part)
		}
	}
	return s, nil
}

type cluster struct {
	options  driver.Options
	setting  setting
	opened   time.Duration
	leader   *raft.Raft
	term     uint64
	machines []*driver.Machine
	nodes    []*raft.Raft
	network  *network
}

func main() {
	debug.SetGCPercent(400)
	driver.Main(start)
}

func start(o driver.Options) (driver.System, error) {
	setting, err := parse(o.Setting)
	if err != nil {
		return nil, err
	}
	network, err := open(o, setting)
	if err != nil {
		return nil, err
	}
	c := &cluster{options: o, setting: setting, network: network}
	for n := range o.Founders() {
		began := time.Now()
		if err := c.add(n); err != nil {
			return nil, err
		}
		if n == 0 {
			c.opened = time.Since(began)
		}
	}
	return c, c.await(c.nodes)
}

// add starts node n: with the others that found the cluster, or blank where it comes later than they.
func (c *cluster) add(n int) error {
	stores, err := openStores(c.options, c.setting, n)
	if err != nil {
		return err
	}
	machine := driver.NewMachine(c.options)
	config := config(c.options, n, c.setting)
	transport := c.network.transports[n]
	if founders := c.options.Founders(); c.options.Recover == 0 && n < founders {
		err := raft.BootstrapCluster(config, stores.logs, stores.stable, stores.snapshots, transport,
			c.network.configuration(founders))
		if err != nil {
			return err
		}
	}
	node, err := raft.NewRaft(config, &fsm{machine}, stores.logs, stores.stable, stores.snapshots, transport)
	if err != nil {
		return err
	}
	c.nodes = append(c.nodes, node)
	c.machines = append(c.machines, machine)
	return nil
}

func config(o driver.Options, n int, s setting) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = id(n)
	c.MaxAppendEntries = s.appendEntries
	c.BatchApplyCh = true
	c.CommitTimeout = 5 * time.Millisecond
	if o.Cuts > 0 {
		c.HeartbeatTimeout, c.ElectionTimeout = driver.ElectionTimeout, driver.ElectionTimeout
		c.LeaderLeaseTimeout = driver.ElectionTimeout
	}
	c.SnapshotThreshold = 1 << 62
	c.SnapshotInterval = time.Hour
	if o.Task == "install" {
		// What a snapshot stands for is not to be had otherwise.
		c.TrailingLogs = 0
	}
	c.NoLegacyTelemetry = true
	c.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard})
	return c
}

func id(n int) raft.ServerID { return raft.ServerID(fmt.Sprintf("n%d", n+1)) }

func (c *cluster) await(nodes []*raft.Raft) error {
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		for _, node := range nodes {
			if node.State() == raft.Leader && node.Barrier(time.Second).Error() == nil {
				c.leader, c.term = node, node.CurrentTerm()
				return nil
			}
		}
	}
	return fmt.Errorf("no leader")
}

func (c *cluster) Write(data []byte) (driver.Position, error) {
	applied := c.leader.Apply(data, 0)
	err := applied.Error()
	return driver.Position{Index: applied.Index(), Term: c.term}, err
}

func (c *cluster) Read() error { return c.leader.VerifyLeader().Error() }

func (c *cluster) Machines() []*driver.Machine { return c.machines }

// Leads, WriteAt and Cut are for the fail-over cell.
func (c *cluster) Leads(n int) bool { return c.nodes[n].State() == raft.Leader }

func (c *cluster) WriteAt(n int, data []byte) (driver.Position, error) {
	applied := c.nodes[n].Apply(data, 0)
	err := applied.Error()
	return driver.Position{Index: applied.Index()}, err
}

func (c *cluster) Cut(n int, cut bool) { c.network.cut(n, cut) }

// Snapshot and Grow are for the cells in which the last node comes later.
func (c *cluster) Snapshot() error { return c.leader.Snapshot().Error() }

func (c *cluster) Grow() error {
	n := len(c.nodes)
	if err := c.add(n); err != nil {
		return err
	}
	return c.leader.AddNonvoter(id(n), raft.ServerAddress(c.network.addresses[n]), 0, 0).Error()
}

func (c *cluster) Opened() time.Duration { return c.opened }

func (c *cluster) Term() uint64 { return c.leader.CurrentTerm() }
