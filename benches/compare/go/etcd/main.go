// Command etcd measures etcd-io/raft as the comparison's other systems are measured.
//
// The library is a core without transport or log. This is the loop that a careful user writes round it: one
// goroutine a node, everything that waits is taken at once, many proposals in one message, entries sent before
// they are on the leader's own disk (thesis §10.2.1), one write and one flush for all that came together.
package main

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.etcd.io/raft/v3"

	"raftix/compare/driver"
)

// setting is the part of the configuration that the cells try out; the best of them counts.
type setting struct{ async bool }

func parse(name string) (setting, error) {
	var s setting
	for part := range strings.SplitSeq(name, "-") {
		switch part {
		case "", "ready":
		case "async":
			s.async = true
		case "procs1":
			runtime.GOMAXPROCS(1)
		default:
			return s, fmt.Errorf("no such setting: %s", part)
		}
	}
	return s, nil
}

type cluster struct {
	options driver.Options
	setting setting
	opened  time.Duration
	leader  *node
	nodes   []*node
	waiters sync.Pool
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
	c := &cluster{
		options: o, setting: setting,
		waiters: sync.Pool{New: func() any { return &waiter{done: make(chan driver.Position, 1)} }},
	}
	for n := range o.Founders() {
		began := time.Now()
		node, err := newNode(uint64(n+1), o, setting)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			c.opened = time.Since(began)
		}
		c.nodes = append(c.nodes, node)
	}
	if err := connect(c.nodes, o.Transport); err != nil {
		return nil, err
	}
	if err := c.nodes[0].raw.Campaign(); err != nil {
		return nil, err
	}
	for _, node := range c.nodes {
		go node.run()
	}
	return c, c.await()
}

// await waits until somebody leads and has committed an entry of its own.
func (c *cluster) await() error {
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		for _, node := range c.nodes {
			if node.leads.Load() && node.appliedOwn.Load() {
				c.leader = node
				return nil
			}
		}
	}
	return fmt.Errorf("no leader")
}

func (c *cluster) Write(data []byte) (driver.Position, error) {
	w := c.waiters.Get().(*waiter)
	c.leader.inbox.propose(proposal{data, w})
	at := <-w.done
	c.waiters.Put(w)
	if at.Index == 0 {
		return at, raft.ErrProposalDropped
	}
	return at, nil
}

func (c *cluster) Read() error {
	w := c.waiters.Get().(*waiter)
	c.leader.inbox.read(w)
	at := <-w.done
	c.waiters.Put(w)
	if at.Index == 0 {
		return raft.ErrProposalDropped
	}
	return nil
}

func (c *cluster) Machines() []*driver.Machine {
	var machines []*driver.Machine
	for _, node := range c.nodes {
		machines = append(machines, node.machine)
	}
	return machines
}

// Leads, WriteAt and Cut are for the fail-over cell.
func (c *cluster) Leads(n int) bool { return c.nodes[n].leads.Load() }

func (c *cluster) WriteAt(n int, data []byte) (driver.Position, error) {
	w := &waiter{done: make(chan driver.Position, 1)}
	c.nodes[n].inbox.propose(proposal{data, w})
	at := <-w.done
	if at.Index == 0 {
		return at, raft.ErrProposalDropped
	}
	return at, nil
}

func (c *cluster) Cut(n int, cut bool) { c.nodes[n].cut.Store(cut) }

// Snapshot and Grow are for the cells in which the last node comes later. It votes from the beginning, and is away.
func (c *cluster) Snapshot() error {
	return errors.New("etcd leaves writing and sending a snapshot to its user")
}

func (c *cluster) Grow() error {
	node, err := newNode(uint64(len(c.nodes)+1), c.options, c.setting)
	if err != nil {
		return err
	}
	if err := admit(node, c.nodes); err != nil {
		return err
	}
	c.nodes = append(c.nodes, node)
	return nil
}

func (c *cluster) Opened() time.Duration { return c.opened }

func (c *cluster) Term() uint64 { return c.leader.term.Load() }
