package main

import (
	"encoding/binary"
	"sync"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"raftix/compare/driver"
)

// waiting is who waits for which index, ascending: the core appends proposals in the order they are stepped.
type waiting struct {
	mu    sync.Mutex
	queue []waitingAt
	next  int
}

type waitingAt struct {
	index  uint64
	waiter *waiter
}

func (w *waiting) add(first uint64, batch []proposal) {
	w.mu.Lock()
	for i, p := range batch {
		w.queue = append(w.queue, waitingAt{first + uint64(i), p.waiter})
	}
	w.mu.Unlock()
}

// drop tells everybody that nobody knows: this node no longer leads.
func (w *waiting) drop() {
	w.mu.Lock()
	for _, at := range w.queue[w.next:] {
		at.waiter.done <- driver.Position{}
	}
	w.queue, w.next = nil, 0
	w.mu.Unlock()
}

// answer tells everybody whose entry was applied.
func (w *waiting) answer(entries []*pb.Entry) {
	w.mu.Lock()
	for _, entry := range entries {
		if w.next == len(w.queue) {
			break
		}
		if at := w.queue[w.next]; at.index == entry.GetIndex() {
			at.waiter.done <- driver.Position{Index: at.index, Term: entry.GetTerm()}
			w.next++
		}
	}
	// What is answered goes when it is as much as what waits, so that each is moved once.
	if w.next > 1024 && w.next*2 >= len(w.queue) {
		w.queue = append(w.queue[:0], w.queue[w.next:]...)
		w.next = 0
	}
	w.mu.Unlock()
}

// reading is linearizable reads: all that came together share a round.
type reading struct {
	mu        sync.Mutex
	round     uint64
	rounds    map[uint64][]*waiter
	confirmed []confirmed
	upto      uint64
}

type confirmed struct {
	index   uint64
	waiters []*waiter
}

func (r *reading) start(n *node, reads []*waiter) {
	if len(reads) == 0 {
		return
	}
	r.mu.Lock()
	r.round++
	round := r.round
	if r.rounds == nil {
		r.rounds = map[uint64][]*waiter{}
	}
	r.rounds[round] = append([]*waiter(nil), reads...)
	r.mu.Unlock()
	n.raw.ReadIndex(binary.LittleEndian.AppendUint64(nil, round))
}

func (r *reading) confirm(states []raft.ReadState) {
	r.mu.Lock()
	for _, state := range states {
		round := binary.LittleEndian.Uint64(state.RequestCtx)
		r.confirmed = append(r.confirmed, confirmed{state.Index, r.rounds[round]})
		delete(r.rounds, round)
	}
	r.answer()
	r.mu.Unlock()
}

func (r *reading) applied(index uint64) {
	r.mu.Lock()
	r.upto = index
	r.answer()
	r.mu.Unlock()
}

func (r *reading) answer() {
	for len(r.confirmed) > 0 && r.confirmed[0].index <= r.upto {
		for _, w := range r.confirmed[0].waiters {
			w.done <- driver.Position{Index: r.confirmed[0].index}
		}
		r.confirmed = r.confirmed[1:]
	}
}
