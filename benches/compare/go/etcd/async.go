package main

import (
	"sync"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// storageThreads do a node's appending and applying beside it (the core's AsyncStorageWrites).
type storageThreads struct {
	node    *node
	appends queue
	applies queue
}

// queue is an unbounded one whose reader takes everything at once.
type queue struct {
	mu      sync.Mutex
	filled  *sync.Cond
	waiting []*pb.Message
}

func (q *queue) put(m *pb.Message) {
	q.mu.Lock()
	q.waiting = append(q.waiting, m)
	q.mu.Unlock()
	q.filled.Signal()
}

func (q *queue) take() []*pb.Message {
	q.mu.Lock()
	for len(q.waiting) == 0 {
		q.filled.Wait()
	}
	all := q.waiting
	q.waiting = nil
	q.mu.Unlock()
	return all
}

func startStorageThreads(n *node) *storageThreads {
	s := &storageThreads{node: n}
	s.appends.filled = sync.NewCond(&s.appends.mu)
	s.applies.filled = sync.NewCond(&s.applies.mu)
	go s.append()
	go s.apply()
	return s
}

// hand gives the messages of a Ready to whom they are for.
func (s *storageThreads) hand(messages []*pb.Message) {
	peers := make([]*pb.Message, 0, len(messages))
	for _, m := range messages {
		switch m.GetTo() {
		case raft.LocalAppendThread:
			s.appends.put(m)
		case raft.LocalApplyThread:
			s.applies.put(m)
		default:
			peers = append(peers, m)
		}
	}
	s.node.send(peers)
}

// append writes everything that waits with one flush, then lets the answers go.
func (s *storageThreads) append() {
	for {
		messages := s.appends.take()
		var state *pb.HardState
		var entries []*pb.Entry
		for _, m := range messages {
			if m.Term != nil {
				state = &pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
			}
			entries = append(entries, m.GetEntries()...)
		}
		if s.node.disk != nil {
			must(s.node.disk.save(state, entries))
		}
		if state != nil {
			must(s.node.storage.SetHardState(state))
		}
		for _, m := range messages {
			must(s.node.storage.Append(m.GetEntries()))
		}
		s.respond(messages)
	}
}

func (s *storageThreads) apply() {
	for {
		messages := s.applies.take()
		for _, m := range messages {
			s.node.apply(m.GetEntries())
		}
		s.respond(messages)
	}
}

func (s *storageThreads) respond(messages []*pb.Message) {
	var own, peers []*pb.Message
	for _, m := range messages {
		for _, response := range m.GetResponses() {
			if response.GetTo() == s.node.id {
				own = append(own, response)
			} else {
				peers = append(peers, response)
			}
		}
	}
	s.node.send(peers)
	if len(own) > 0 {
		s.node.inbox.deliver(own...)
	}
}
