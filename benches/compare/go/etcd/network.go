package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"

	pb "go.etcd.io/raft/v3/raftpb"

	"raftix/compare/driver"
)

const bufferBytes = 256 << 10

// near is a node in the same process: messages are handed over as they are.
type near struct{ from, to *node }

func (p near) send(messages []*pb.Message) {
	if !p.from.cut.Load() && !p.to.cut.Load() {
		p.to.inbox.deliver(messages...)
	}
}

// far is a connection to a node. Everything that leaves at once is one write, made where it arises: the system's
// buffers take it, and whoever reads never waits for the node behind it, so that no two nodes wait for each other.
type far struct {
	mu         sync.Mutex
	connection net.Conn
	buffer     []byte
}

func (p *far) send(messages []*pb.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buffer = p.buffer[:0]
	for _, message := range messages {
		p.buffer = encode(p.buffer, message)
	}
	_, err := p.connection.Write(p.buffer)
	must(err)
}

// gate is the way to a node that comes later: until it is opened, nothing gets through.
type gate struct{ way atomic.Pointer[far] }

func (g *gate) send(messages []*pb.Message) {
	if way := g.way.Load(); way != nil {
		way.send(messages)
	}
}

// receive hands on all messages that one read brought together.
func receive(connection net.Conn, to *inbox) {
	reader := bufio.NewReaderSize(connection, bufferBytes)
	var frame []byte
	var batch []*pb.Message
	for {
		var header [headerBytes]byte
		if _, err := io.ReadFull(reader, header[:]); err != nil {
			return
		}
		length, kind := int(binary.LittleEndian.Uint32(header[:])), header[4]
		if cap(frame) < length || kind == kindEntries {
			frame = make([]byte, length)
		}
		frame = frame[:length]
		if _, err := io.ReadFull(reader, frame); err != nil {
			return
		}
		message, err := decode(kind, frame)
		must(err)
		if kind == kindEntries {
			frame = nil
		}
		batch = append(batch, message)
		if reader.Buffered() < len(header) {
			to.deliver(batch...)
			clear(batch)
			batch = batch[:0]
		}
	}
}

// connect gives every node a way to every other, also to those that come later.
func connect(nodes []*node, transport string) error {
	for _, from := range nodes {
		for _, to := range nodes {
			if from == to {
				continue
			}
			if transport == "memory" {
				from.peers[to.id] = near{from, to}
				continue
			}
			peer, err := dial(to)
			if err != nil {
				return err
			}
			from.peers[to.id] = peer
		}
		for id := uint64(len(nodes) + 1); id <= driver.Nodes; id++ {
			from.peers[id] = &gate{}
		}
	}
	return nil
}

// admit joins a node that comes later to the others, in both directions, and lets it run.
func admit(node *node, others []*node) error {
	for _, other := range others {
		way, err := dial(other)
		if err != nil {
			return err
		}
		node.peers[other.id] = way
	}
	go node.run()
	for _, other := range others {
		way, err := dial(node)
		if err != nil {
			return err
		}
		other.peers[node.id].(*gate).way.Store(way)
	}
	return nil
}

func dial(to *node) (*far, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	out, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return nil, err
	}
	in, err := listener.Accept()
	if err != nil {
		return nil, err
	}
	go receive(in, to.inbox)
	return &far{connection: out}, nil
}
