package main

import (
	"sync"

	pb "go.etcd.io/raft/v3/raftpb"

	"raftix/compare/driver"
)

// waiter is a client that waits for its operation; the zero position says that it was dropped.
type waiter struct{ done chan driver.Position }

type proposal struct {
	data   []byte
	waiter *waiter
}

// inbox is everything that waits for a node. Whoever adds the first thing wakes the node.
type inbox struct {
	mu   sync.Mutex
	work work
	wake chan struct{}
}

// work is what a node takes at once.
type work struct {
	messages  []*pb.Message
	proposals []proposal
	reads     []*waiter
}

func (w *work) empty() bool {
	return len(w.messages) == 0 && len(w.proposals) == 0 && len(w.reads) == 0
}

func (w *work) reset() {
	clear(w.messages)
	clear(w.proposals)
	clear(w.reads)
	w.messages, w.proposals, w.reads = w.messages[:0], w.proposals[:0], w.reads[:0]
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (i *inbox) add(with func(*work)) {
	i.mu.Lock()
	first := i.work.empty()
	with(&i.work)
	i.mu.Unlock()
	if first {
		select {
		case i.wake <- struct{}{}:
		default:
		}
	}
}

func (i *inbox) deliver(messages ...*pb.Message) {
	i.add(func(w *work) { w.messages = append(w.messages, messages...) })
}

func (i *inbox) propose(p proposal) {
	i.add(func(w *work) { w.proposals = append(w.proposals, p) })
}

func (i *inbox) read(r *waiter) {
	i.add(func(w *work) { w.reads = append(w.reads, r) })
}

// take swaps what waits for the empty work it is given.
func (i *inbox) take(empty *work) {
	i.mu.Lock()
	i.work, *empty = *empty, i.work
	i.mu.Unlock()
}
