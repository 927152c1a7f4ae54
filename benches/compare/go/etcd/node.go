package main

import (
	"io"
	"log"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"raftix/compare/driver"
)

const (
	// electionTicks is how many ticks without a leader pass at least before a node stands.
	electionTicks = 10
	usualTick     = 100 * time.Millisecond
	// entriesMax is how many proposals go into one message.
	entriesMax = 4096
	// inFlightMax is how many bytes may be on their way to a follower. A leader that has a long log to send writes as much at
	// once, and hears nobody and is not heard meanwhile.
	inFlightMax = 32 << 20
	// compactEvery is how many entries may pile up in the memory of a node before the applied ones go.
	compactEvery = 1 << 16
)

// node drives one RawNode on one goroutine, which alone touches it.
type node struct {
	id      uint64
	raw     *raft.RawNode
	storage *raft.MemoryStorage
	disk    *disk
	machine *driver.Machine
	inbox   *inbox
	peers   map[uint64]peer
	waiting waiting
	reading reading
	async   *storageThreads

	// cut says that nothing goes to this node or comes from it.
	cut        atomic.Bool
	tick       time.Duration
	leads      atomic.Bool
	appliedOwn atomic.Bool
	term       atomic.Uint64
	applied    atomic.Uint64
	// next is the index that the leader's next proposal gets.
	next uint64
	// lastTerm is the term of the entry applied last.
	lastTerm  uint64
	compacted uint64
	// keepsAll says that a node is to come that has nothing yet.
	keepsAll bool
}

// peer is the way to another node.
type peer interface{ send(messages []*pb.Message) }

func newNode(id uint64, o driver.Options, s setting) (*node, error) {
	n := &node{
		id: id, storage: raft.NewMemoryStorage(), machine: driver.NewMachine(o), inbox: newInbox(),
		peers: map[uint64]peer{}, tick: usualTick, keepsAll: o.Grows(),
	}
	heartbeatTicks := 1
	if o.Cuts > 0 {
		n.tick, heartbeatTicks = driver.ElectionTimeout/electionTicks, 3
	}
	if err := n.storage.ApplySnapshot(founding()); err != nil {
		return nil, err
	}
	// The founding term is over, so that a leader's first entry is the first of its term.
	if err := n.storage.SetHardState(&pb.HardState{Term: new(uint64(1)), Commit: new(uint64(1))}); err != nil {
		return nil, err
	}
	if o.Log != "memory" {
		disk, err := openDisk(o, id, n.storage)
		if err != nil {
			return nil, err
		}
		n.disk = disk
	}
	var err error
	n.raw, err = raft.NewRawNode(&raft.Config{
		ID: id, ElectionTick: electionTicks, HeartbeatTick: heartbeatTicks, Storage: n.storage, AsyncStorageWrites: s.async,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, MaxInflightBytes: inFlightMax, PreVote: true, CheckQuorum: true,
		Logger: &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)},
	})
	if err == nil && s.async {
		n.async = startStorageThreads(n)
	}
	return n, err
}

// founding is the state that all nodes start from: three voters and nothing else.
func founding() *pb.Snapshot {
	voters := &pb.ConfState{}
	for n := range uint64(driver.Nodes) {
		voters.Voters = append(voters.Voters, n+1)
	}
	return &pb.Snapshot{
		Metadata: &pb.SnapshotMetadata{ConfState: voters, Index: new(uint64(1)), Term: new(uint64(1))},
	}
}

func (n *node) run() {
	ticker := time.NewTicker(n.tick)
	var work work
	for {
		n.ready()
		select {
		case <-n.inbox.wake:
		case <-ticker.C:
			n.raw.Tick()
		}
		n.inbox.take(&work)
		n.step(&work)
		work.reset()
	}
}

func (n *node) step(work *work) {
	for _, message := range work.messages {
		// A message that no longer fits the state is dropped, as the core asks for.
		_ = n.raw.Step(message)
	}
	for rest := work.proposals; len(rest) > 0; {
		batch := rest[:min(len(rest), entriesMax)]
		rest = rest[len(batch):]
		n.propose(batch)
	}
	n.reading.start(n, work.reads)
}

func (n *node) propose(batch []proposal) {
	entries := make([]pb.Entry, len(batch))
	message := &pb.Message{Type: pb.MsgProp.Enum(), From: &n.id, Entries: make([]*pb.Entry, len(batch))}
	for i := range batch {
		entries[i].Data = batch[i].data
		message.Entries[i] = &entries[i]
	}
	if !n.leads.Load() || n.raw.Step(message) != nil {
		for _, p := range batch {
			p.waiter.done <- driver.Position{}
		}
		return
	}
	n.waiting.add(n.next, batch)
	n.next += uint64(len(batch))
}

// ready does what the core asks for until it asks for nothing.
func (n *node) ready() {
	for n.raw.HasReady() {
		rd := n.raw.Ready()
		if rd.SoftState != nil {
			n.lead(rd)
		}
		if rd.HardState != nil {
			n.term.Store(rd.GetTerm())
		}
		n.reading.confirm(rd.ReadStates)
		if n.async != nil {
			n.async.hand(rd.Messages)
			n.compact()
			continue
		}
		late := n.sendEarly(rd.Messages)
		n.persist(rd.HardState, rd.Entries)
		n.send(late)
		n.apply(rd.CommittedEntries)
		n.raw.Advance(rd)
		n.compact()
	}
}

// lead notes whether this node leads. The entry that a leader begins with is then the last of its log, and the
// proposals that the core takes follow it one by one.
func (n *node) lead(rd raft.Ready) {
	leads := rd.RaftState == raft.StateLeader
	if leads && !n.leads.Load() {
		n.next = rd.Entries[len(rd.Entries)-1].GetIndex() + 1
	}
	if !leads {
		n.waiting.drop()
	}
	n.leads.Store(leads)
}

// sendEarly sends what does not speak of this node's own disk, and returns the rest.
func (n *node) sendEarly(messages []*pb.Message) []*pb.Message {
	early := 0
	for i, m := range messages {
		if t := m.GetType(); t == pb.MsgApp || t == pb.MsgHeartbeat {
			messages[i], messages[early] = messages[early], m
			early++
		}
	}
	n.send(messages[:early])
	return messages[early:]
}

// send gives each peer its messages in one piece.
func (n *node) send(messages []*pb.Message) {
	if len(messages) == 0 {
		return
	}
	for id, peer := range n.peers {
		var own []*pb.Message
		for _, m := range messages {
			if m.GetTo() == id {
				own = append(own, m)
			}
		}
		if len(own) > 0 {
			peer.send(own)
		}
	}
}

func (n *node) persist(state *pb.HardState, entries []*pb.Entry) {
	if n.disk != nil {
		must(n.disk.save(state, entries))
	}
	if state != nil && !raft.IsEmptyHardState(state) {
		must(n.storage.SetHardState(state))
	}
	must(n.storage.Append(entries))
}

func (n *node) apply(entries []*pb.Entry) {
	if len(entries) == 0 {
		return
	}
	last := entries[len(entries)-1]
	n.machine.Apply(func(one func(driver.Position, []byte)) {
		for _, entry := range entries {
			// A leader begins with an empty entry, which is no command: the first of its term.
			if len(entry.Data) > 0 || entry.GetTerm() == n.lastTerm {
				one(driver.Position{Index: entry.GetIndex(), Term: entry.GetTerm()}, entry.Data)
			}
			n.lastTerm = entry.GetTerm()
		}
	})
	n.applied.Store(last.GetIndex())
	n.waiting.answer(entries)
	n.reading.applied(last.GetIndex())
	if last.GetTerm() == n.term.Load() {
		n.appliedOwn.Store(true)
	}
}

// compact lets go of what every node has; entries in memory cost the collector.
func (n *node) compact() {
	upto := n.applied.Load()
	// Whoever comes later needs all of it, also from a leader that follows now.
	if n.keepsAll || upto < n.compacted+2*compactEvery {
		return
	}
	if n.leads.Load() {
		n.raw.WithProgress(func(_ uint64, _ raft.ProgressType, p tracker.Progress) { upto = min(upto, p.Match) })
	}
	if upto >= n.compacted+2*compactEvery {
		n.compacted = upto - compactEvery
		must(n.storage.Compact(n.compacted))
	}
}

// must ends the process: a log that cannot be written is no log.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
