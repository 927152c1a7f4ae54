package main

import (
	"encoding/binary"
	"errors"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// A frame is a length, a kind and a body. Appends and their answers, which are nearly all that is sent, have a
// plain encoding of fixed fields, as etcd's own transport has one for them (msgappv2): protocol buffers take five
// allocations for each entry that they decode. Everything else is protocol buffers.
const headerBytes = 5

const (
	kindProto = iota
	// kindPlain is a message without entries.
	kindPlain
	// kindEntries is one with entries, whose data stay slices of the frame.
	kindEntries
)

// plainNumbers is how many numbers a plain message may have.
const plainNumbers = 6

var errFrame = errors.New("a frame that is none")

func numbers(m *pb.Message) [plainNumbers]**uint64 {
	return [plainNumbers]**uint64{&m.To, &m.From, &m.Term, &m.LogTerm, &m.Index, &m.Commit}
}

// isPlain says whether a message has nothing but numbers and entries.
func isPlain(m *pb.Message) bool {
	return m.Vote == nil && m.Snapshot == nil && !m.GetReject() && m.RejectHint == nil && m.Context == nil &&
		len(m.Responses) == 0
}

// encode adds a message as a frame.
func encode(buffer []byte, m *pb.Message) []byte {
	at := len(buffer)
	buffer = append(buffer, 0, 0, 0, 0, kindProto)
	if isPlain(m) {
		buffer[at+4] = kindPlain
		if len(m.Entries) > 0 {
			buffer[at+4] = kindEntries
		}
		buffer = encodePlain(buffer, m)
	} else {
		var err error
		buffer, err = proto.MarshalOptions{}.MarshalAppend(buffer, m)
		must(err)
	}
	binary.LittleEndian.PutUint32(buffer[at:], uint32(len(buffer)-at-headerBytes))
	return buffer
}

// encodePlain adds: type, which numbers there are, those, and for each entry term, index, type, length and data.
func encodePlain(buffer []byte, m *pb.Message) []byte {
	buffer = append(buffer, byte(m.GetType()), 0)
	mask := len(buffer) - 1
	for i, number := range numbers(m) {
		if *number != nil {
			buffer[mask] |= 1 << i
			buffer = binary.LittleEndian.AppendUint64(buffer, **number)
		}
	}
	buffer = binary.LittleEndian.AppendUint32(buffer, uint32(len(m.Entries)))
	for _, e := range m.Entries {
		buffer = binary.LittleEndian.AppendUint64(buffer, e.GetTerm())
		buffer = binary.LittleEndian.AppendUint64(buffer, e.GetIndex())
		buffer = append(buffer, byte(e.GetType()))
		buffer = binary.LittleEndian.AppendUint32(buffer, uint32(len(e.Data)))
		buffer = append(buffer, e.Data...)
	}
	return buffer
}

// decode reads a frame's body. Entries keep slices of it if it is of kindEntries.
func decode(kind byte, body []byte) (*pb.Message, error) {
	if kind == kindProto {
		m := &pb.Message{}
		return m, proto.Unmarshal(body, m)
	}
	r := reader{body: body}
	m := &pb.Message{Type: pb.MessageType(r.byte()).Enum()}
	mask := r.byte()
	values := new([plainNumbers]uint64)
	for i, number := range numbers(m) {
		if mask&(1<<i) != 0 {
			values[i] = r.uint64()
			*number = &values[i]
		}
	}
	// An entry takes at least its fixed fields, so that a wrong count allocates nothing.
	count := int(r.uint32())
	if r.short || count*(8+8+1+4) > len(r.body) {
		return nil, errFrame
	}
	if count == 0 {
		return m, nil
	}
	entries, terms := make([]pb.Entry, count), make([]uint64, 2*count)
	m.Entries = make([]*pb.Entry, count)
	for i := range entries {
		e := &entries[i]
		terms[2*i], terms[2*i+1] = r.uint64(), r.uint64()
		e.Term, e.Index = &terms[2*i], &terms[2*i+1]
		if kind := pb.EntryType(r.byte()); kind == pb.EntryNormal {
			e.Type = entryNormal
		} else {
			e.Type = kind.Enum()
		}
		e.Data = r.bytes(int(r.uint32()))
		m.Entries[i] = e
	}
	if r.short {
		return nil, errFrame
	}
	return m, nil
}

// entryNormal is the type of nearly all entries; nobody writes through it.
var entryNormal = pb.EntryNormal.Enum()

// reader takes fields off a body, and notes when there are too few.
type reader struct {
	body  []byte
	short bool
}

func (r *reader) bytes(count int) []byte {
	if count > len(r.body) {
		r.short = true
		return nil
	}
	taken := r.body[:count:count]
	r.body = r.body[count:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}
