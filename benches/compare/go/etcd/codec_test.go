package main

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

func TestAMessageComesBackFromItsFrame(t *testing.T) {
	entry := func(index uint64, data string, kind pb.EntryType) *pb.Entry {
		return &pb.Entry{Term: new(uint64(2)), Index: &index, Type: kind.Enum(), Data: []byte(data)}
	}
	for _, m := range []*pb.Message{
		{Type: pb.MsgAppResp.Enum(), To: new(uint64(1)), From: new(uint64(2)), Index: new(uint64(9))},
		{Type: pb.MsgApp.Enum(), To: new(uint64(1)), Term: new(uint64(2)), LogTerm: new(uint64(1)), Index: new(uint64(6)),
			Commit:  new(uint64(5)),
			Entries: []*pb.Entry{entry(7, "raft", pb.EntryNormal), entry(8, "x", pb.EntryConfChange)}},
		{Type: pb.MsgAppResp.Enum(), Reject: new(true), RejectHint: new(uint64(4))},
		{Type: pb.MsgHeartbeat.Enum(), Context: []byte("round")},
	} {
		frame := encode(nil, m)
		got, err := decode(frame[4], frame[headerBytes:])
		if err != nil || !proto.Equal(got, m) {
			t.Fatalf("%v came back as %v, %v", m, got, err)
		}
		for cut := headerBytes; cut < len(frame); cut++ {
			if got, err := decode(frame[4], frame[headerBytes:cut]); err == nil && frame[4] != kindProto {
				t.Fatalf("%v was read from %d of %d bytes", got, cut, len(frame))
			}
		}
	}
}
