//! What was encoded is read back; what was not is refused without a panic or a large allocation.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::types::*;

fn frame_of(encode: impl FnOnce(&mut Outgoing)) -> BytesMut {
    let mut out = Outgoing::new();
    encode(&mut out);
    let length = out.len();
    let mut pieces = VecDeque::new();
    out.drain_into(&mut pieces);
    let frame: BytesMut = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
    assert_eq!((frame.len(), out.len()), (length, 0));
    frame
}

fn request_frame(id: u64, request: &Request) -> BytesMut {
    frame_of(|out| encode_request(out, id, request, FrameLimits::default()).unwrap())
}

fn response_frame(id: u64, response: &Response) -> BytesMut {
    frame_of(|out| encode_response(out, id, response, FrameLimits::default()).unwrap())
}

/// A batch keeps its bytes; how many batches carried them is not told.
fn shown(message: &Message) -> String {
    match message {
        Message::Request(Request::AppendEntries(a)) => {
            let entries: Vec<_> = a.entries.iter().map(|e| format!("{e:?} {:?}", e.data)).collect();
            format!("{} {} {} {} {entries:?}", a.term, a.leader, a.prev, a.commit)
        }
        other => format!("{other:?}"),
    }
}

/// A term or an index.
fn number() -> impl Strategy<Value = u64> {
    0..1u64 << 62
}

fn node() -> impl Strategy<Value = NodeId> {
    "[a-z0-9é]{1,40}".prop_map(NodeId::from)
}

fn log_id() -> impl Strategy<Value = LogId> {
    (number(), number()).prop_map(|(term, index)| LogId::new(Term(term), LogIndex(index)))
}

fn data(bytes_max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..bytes_max).prop_map(Bytes::from)
}

fn entries() -> impl Strategy<Value = Entries> {
    (1..1u64 << 61, number(), vec(vec(data(2000), 1..4), 0..4)).prop_map(|(first, term, batches)| {
        let mut entries = Entries::none();
        for commands in batches {
            let mut buffer = EntryBuffer::default();
            commands.iter().for_each(|command| buffer.push(EntryKind::Command, command));
            let next = entries.last().map_or(LogIndex(first), LogIndex::next);
            entries.push(buffer.seal(next, Term(term)));
        }
        entries
    })
}

fn vote() -> impl Strategy<Value = RequestVote> {
    (number(), node(), any::<u128>(), log_id(), any::<(bool, bool)>()).prop_map(
        |(term, candidate, incarnation, last, (leadership_transfer, unanimous))| RequestVote {
            term: Term(term),
            candidate,
            incarnation: Incarnation(incarnation),
            last,
            leadership_transfer,
            unanimous,
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (number(), node(), log_id(), number(), entries()).prop_map(
            |(term, leader, prev, commit, entries)| Request::AppendEntries(AppendEntries {
                term: Term(term),
                leader,
                prev,
                commit: LogIndex(commit),
                entries,
            })
        ),
        (number(), node(), any::<u64>()).prop_map(|(term, leader, round)| Request::Heartbeat(Heartbeat {
            term: Term(term),
            leader,
            round
        })),
        vote().prop_map(Request::PreVote),
        vote().prop_map(Request::RequestVote),
        (number(), node())
            .prop_map(|(term, leader)| Request::TimeoutNow(TimeoutNow { term: Term(term), leader })),
        (node(), any::<[u128; 2]>(), any::<u64>()).prop_map(|(from, [incarnation, admits], peers_hash)| {
            let (incarnation, admits) = (Incarnation(incarnation), ClusterId(admits));
            Request::Greet(Greet { from, incarnation, peers_hash, admits })
        }),
        (vec(forwarded_command(), 0..5), any::<u64>())
            .prop_map(|(commands, timeout_ms)| Request::ForwardApply(ForwardApply { commands, timeout_ms })),
        (any::<u64>(), any::<bool>()).prop_map(|(timeout_ms, barrier)| Request::ForwardReadIndex(
            ForwardReadIndex { timeout_ms, barrier }
        )),
        (option::of(node()), any::<u64>())
            .prop_map(|(to, timeout_ms)| Request::ForwardTransfer(ForwardTransfer { to, timeout_ms })),
        (operation(), any::<u64>()).prop_map(|(operation, timeout_ms)| Request::ForwardChange(
            ForwardChange { operation, timeout_ms }
        )),
        install().prop_map(Request::InstallSnapshot),
    ]
}

fn operation() -> impl Strategy<Value = ClusterOperation> {
    let address = || "[a-z0-9.:]{1,255}";
    let command = prop_oneof![
        (node(), address()).prop_map(|(id, address)| MembershipCommand::AddVoter { id, address }),
        (node(), address()).prop_map(|(id, address)| MembershipCommand::AddNonvoter { id, address }),
        node().prop_map(|id| MembershipCommand::DemoteVoter { id }),
        node().prop_map(|id| MembershipCommand::RemoveServer { id }),
    ];
    (command, option::of(number().prop_map(LogIndex)), any::<bool>()).prop_map(
        |(command, prev_index, force)| {
            ClusterOperation::ChangeMembership(MembershipChange { command, prev_index, force })
        },
    )
}

fn transferred() -> impl Strategy<Value = Result<NodeId, TransferFailure>> {
    use TransferFailure as F;
    prop_oneof![
        node().prop_map(Ok),
        option::of(node()).prop_map(|leader| Err(F::NotLeader { leader })),
        node().prop_map(|id| Err(F::TargetRefused(id))),
        prop::sample::select(vec![F::NoTarget, F::InProgress, F::Overloaded, F::TimedOut]).prop_map(Err),
    ]
}

fn changed() -> impl Strategy<Value = Result<LogIndex, ChangeFailure>> {
    use ChangeFailure as F;
    prop_oneof![
        number().prop_map(|index| Ok(LogIndex(index))),
        option::of(node()).prop_map(|leader| Err(F::NotLeader { leader })),
        number().prop_map(|index| Err(F::ConfigurationChanged { index: LogIndex(index) })),
        "\\PC{0,600}".prop_map(|reason| Err(F::invalid(&reason))),
        prop::sample::select(vec![F::Overloaded, F::QuorumUnreachable, F::NotCaughtUp, F::OutcomeUnknown])
            .prop_map(Err),
    ]
}

fn forwarded_command() -> impl Strategy<Value = ForwardedCommand> {
    use EntryKind::{CloseSession, Command, OpenSession, SessionCommand};
    (prop::sample::select(vec![Command, Command, SessionCommand, OpenSession, CloseSession]), data(3000))
        .prop_map(|(kind, data)| ForwardedCommand { kind, data })
}

fn install() -> impl Strategy<Value = InstallSnapshot> {
    let numbers = (number(), number(), any::<u128>(), number(), any::<u32>());
    (numbers, node(), log_id(), membership(), data(3000)).prop_map(
        |((term, offset, cluster, membership_index, checksum), leader, last, membership, data)| {
            let (membership_index, cluster) = (LogIndex(membership_index), ClusterId(cluster));
            let description = SnapshotDescription { last, membership, membership_index, cluster };
            let bytes = offset + data.len() as u64 + u64::from(checksum);
            let snapshot = SnapshotMeta { description, bytes, checksum };
            InstallSnapshot { term: Term(term), leader, snapshot, offset, data }
        },
    )
}

fn forwarded() -> impl Strategy<Value = ForwardedResult> {
    prop_oneof![
        (log_id(), data(3000)).prop_map(|(at, reply)| ForwardedResult::Applied { at, reply }),
        option::of(node()).prop_map(|leader| ForwardedResult::NotLeader { leader }),
        Just(ForwardedResult::Overloaded),
        any::<u64>().prop_map(|bytes_max| ForwardedResult::TooLarge { bytes_max }),
        Just(ForwardedResult::ShuttingDown),
        Just(ForwardedResult::OutcomeUnknown),
        Just(ForwardedResult::SessionExpired),
        Just(ForwardedResult::SequenceTooOld),
    ]
}

fn outcome() -> impl Strategy<Value = AppendOutcome> {
    prop_oneof![
        number().prop_map(|matched| AppendOutcome::Matched { matched: LogIndex(matched) }),
        (number(), log_id())
            .prop_map(|(refused, hint)| AppendOutcome::Conflict { refused: LogIndex(refused), hint }),
        Just(AppendOutcome::Refused),
    ]
}

fn membership() -> impl Strategy<Value = Membership> {
    (1..6u8, any::<u128>()).prop_map(|(count, incarnation)| {
        let server = |i| Server {
            id: format!("n{i}").as_str().into(),
            address: format!("host{i}:7000"),
            suffrage: if i == 0 { Suffrage::Voter } else { Suffrage::Nonvoter },
            incarnation: Incarnation(incarnation),
        };
        Membership::new((0..count).map(server)).unwrap()
    })
}

fn response() -> impl Strategy<Value = Response> {
    let numbers = || (number(), any::<u128>(), any::<u64>(), any::<bool>());
    let voted = move || {
        numbers().prop_map(|(term, incarnation, _, granted)| RequestVoteResponse {
            term: Term(term),
            incarnation: Incarnation(incarnation),
            granted,
        })
    };
    prop_oneof![
        (numbers(), outcome()).prop_map(|((term, incarnation, ..), outcome)| {
            let (term, incarnation) = (Term(term), Incarnation(incarnation));
            Response::AppendEntries(AppendEntriesResponse { term, incarnation, outcome })
        }),
        numbers().prop_map(|(term, incarnation, round, follows)| {
            let (term, incarnation) = (Term(term), Incarnation(incarnation));
            Response::Heartbeat(HeartbeatResponse { term, incarnation, round, follows, sticks_ms: round })
        }),
        voted().prop_map(Response::PreVote),
        voted().prop_map(Response::RequestVote),
        numbers().prop_map(|(term, .., accepted)| {
            Response::TimeoutNow(TimeoutNowResponse { term: Term(term), accepted })
        }),
        (node(), numbers(), option::of((any::<u128>(), option::of(membership())))).prop_map(
            |(from, (peers_hash, incarnation, ..), state)| Response::Greet(GreetResponse {
                from,
                incarnation: Incarnation(incarnation),
                peers_hash,
                state: state.map(|(id, first)| ClusterState { cluster: ClusterId(id), first }),
            })
        ),
        vec(forwarded(), 0..6).prop_map(|results| Response::ForwardApply(ForwardApplyResponse { results })),
        (numbers(), 0..3).prop_map(|((term, incarnation, offset, _), outcome)| {
            let outcome = match outcome {
                0 => InstallOutcome::Wanted { offset },
                1 => InstallOutcome::Installed,
                _ => InstallOutcome::Refused,
            };
            let (term, incarnation) = (Term(term), Incarnation(incarnation));
            Response::InstallSnapshot(InstallSnapshotResponse { term, incarnation, outcome })
        }),
        (option::of(number()), option::of(node())).prop_map(|(index, leader)| {
            let result = index.map(LogIndex).ok_or(leader);
            Response::ForwardReadIndex(ForwardReadIndexResponse { result })
        }),
        changed().prop_map(|result| Response::ForwardChange(ForwardChangeResponse { result })),
        transferred().prop_map(|result| Response::ForwardTransfer(ForwardTransferResponse { result })),
    ]
}

fn handshake() -> impl Strategy<Value = Handshake> {
    (node(), node(), any::<(u128, u128, u64, u64)>(), 0..4usize, 0..6usize).prop_map(
        |(node, target, (cluster, incarnation, group, features), lane, verdict)| {
            use Verdict::*;
            Handshake {
                versions: Handshake::VERSIONS,
                lane: [Lane::Control, Lane::Bulk, Lane::Forward, Lane::Snapshot][lane],
                verdict: [
                    None,
                    Some(Ok),
                    Some(WrongCluster),
                    Some(WrongVersion),
                    Some(WrongTarget),
                    Some(NotNow),
                ][verdict],
                cluster: ClusterId(cluster),
                group: GroupId(group),
                node,
                incarnation: Incarnation(incarnation),
                target,
                features,
            }
        },
    )
}

proptest! {
    #[test]
    fn a_request_is_read_back_as_it_was(id: u64, request in request(), cut in any::<prop::sample::Index>()) {
        let mut frame = request_frame(id, &request);
        let mut part = BytesMut::from(&frame[..cut.index(frame.len())]);
        prop_assert!(decode(&mut part, FrameLimits::default()).unwrap().is_none());
        let (read_id, kind, message) = decode(&mut frame, FrameLimits::default()).unwrap().unwrap();
        prop_assert_eq!((read_id, kind, frame.len()), (id, FrameKind::of_request(&request), 0));
        prop_assert_eq!(shown(&message), shown(&Message::Request(request)));
    }

    #[test]
    fn a_response_is_read_back_as_it_was(id: u64, response in response(), request in request()) {
        // Two frames in one buffer: the first takes nothing of the second.
        let mut frames = response_frame(id, &response);
        frames.extend_from_slice(&request_frame(id, &request));
        let (read_id, kind, message) = decode(&mut frames, FrameLimits::default()).unwrap().unwrap();
        prop_assert_eq!((read_id, kind), (id, FrameKind::of_response(&response)));
        prop_assert_eq!(shown(&message), shown(&Message::Response(response)));
        prop_assert!(decode(&mut frames, FrameLimits::default()).unwrap().is_some());
        prop_assert!(frames.is_empty());
    }

    #[test]
    fn a_flipped_bit_is_noticed(request in request(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut frame = request_frame(7, &request);
        let before = shown(&Message::Request(request));
        let at = at.index(frame.len());
        frame[at] ^= 1 << bit;
        // A larger length waits for more; padding between entries carries nothing.
        if let Ok(Some((id, _, message))) = decode(&mut frame, FrameLimits::default()) {
            prop_assert_eq!((id, shown(&message)), (7, before));
        }
    }

    #[test]
    fn any_body_behind_a_good_checksum_is_read_or_refused(kind: u8, head in data(200), entries in data(300)) {
        let mut bytes = BytesMut::zeroed(FRAME_HEADER_BYTES);
        bytes.extend_from_slice(&head);
        bytes[..4].copy_from_slice(&((head.len() + entries.len()) as u32).to_le_bytes());
        bytes[4] = (kind % 12) | (kind & 0x80);
        bytes[16..20].copy_from_slice(&(head.len() as u32).to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..20]), &head);
        bytes[20..24].copy_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(&entries);
        let _ = decode(&mut bytes, FrameLimits::default());
    }

    #[test]
    fn any_bytes_are_refused_or_waited_for(bytes in vec(any::<u8>(), 0..100)) {
        let _ = decode(&mut BytesMut::from(&bytes[..]), FrameLimits::default());
        prop_assert!(Handshake::decode(bytes.into()).is_err());
    }

    #[test]
    fn a_handshake_is_read_back_and_a_damaged_one_is_not(
        handshake in handshake(),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let mut bytes = handshake.encode();
        prop_assert_eq!(Handshake::length(bytes.first_chunk().unwrap()), Ok(bytes.len()));
        prop_assert_eq!(Handshake::decode(bytes.clone().into()), Ok(handshake));
        let at = at.index(bytes.len());
        prop_assert!(Handshake::decode(bytes[..at].to_vec().into()).is_err());
        bytes[at] ^= 1 << bit;
        prop_assert!(Handshake::decode(bytes.into()).is_err());
    }
}

#[test]
fn a_frame_that_announces_four_gigabytes_is_refused_from_its_header() {
    for kind in [FrameKind::AppendEntries, FrameKind::Heartbeat, FrameKind::Ping] {
        let mut bytes = BytesMut::zeroed(FRAME_HEADER_BYTES);
        bytes[..4].fill(0xff);
        bytes[4] = kind as u8;
        let error = decode(&mut bytes, FrameLimits::default()).unwrap_err();
        assert!(matches!(error, FrameError::TooLarge { bytes: 0xffff_ffff, .. }), "{error}");
    }
}

#[test]
fn a_term_nobody_can_count_on_from_is_refused() {
    let response = HeartbeatResponse {
        term: Term(u64::MAX),
        incarnation: Incarnation(1),
        round: 1,
        follows: true,
        sticks_ms: 1,
    };
    let mut frame = response_frame(1, &Response::Heartbeat(response));
    assert!(matches!(decode(&mut frame, FrameLimits::default()), Err(FrameError::Malformed { .. })));
}

#[test]
fn what_is_too_large_to_send_leaves_the_queue_as_it_was() {
    let mut out = Outgoing::new();
    encode_ping(&mut out);
    let apply =
        |commands: Vec<ForwardedCommand>| Request::ForwardApply(ForwardApply { commands, timeout_ms: 1 });
    let limits = FrameLimits { frame_bytes_max: 5000 };
    let large = apply(vec![vec![0; 6000].into()]);
    assert!(matches!(encode_request(&mut out, 1, &large, limits), Err(FrameError::TooLarge { .. })));
    let many = apply(vec![Bytes::new().into(); FORWARD_COMMANDS_MAX + 1]);
    assert!(encode_request(&mut out, 1, &many, FrameLimits::default()).is_err());
    let long = Request::TimeoutNow(TimeoutNow { term: Term(1), leader: "x".repeat(2000).into() });
    assert!(encode_request(&mut out, 1, &long, limits).is_err());
    assert_eq!(out.len(), FRAME_HEADER_BYTES);
}

#[test]
fn plain_commands_are_forwarded_as_before_there_were_sessions_and_others_say_what_they_are() {
    let forward = |commands: Vec<ForwardedCommand>| {
        let frame = request_frame(1, &Request::ForwardApply(ForwardApply { commands, timeout_ms: 2 }));
        frame[FRAME_HEADER_BYTES..].to_vec()
    };
    let plain = ForwardedCommand::from(Bytes::from_static(b"set"));
    let before = [&2_u64.to_le_bytes()[..], &1_u32.to_le_bytes(), &3_u32.to_le_bytes(), b"set"].concat();
    assert_eq!(forward(vec![plain.clone()]), before);
    let session = ForwardedCommand { kind: EntryKind::SessionCommand, data: Bytes::from_static(b"in") };
    let lengths = [2_u64.to_le_bytes().to_vec(), [2_u32, 3, 2 | 1 << 31].map(u32::to_le_bytes).concat()];
    let mixed = [&lengths.concat()[..], &[65], b"setin"].concat();
    assert_eq!(forward(vec![plain, session]), mixed);
}

#[test]
fn what_no_client_may_have_appended_is_not_forwarded() {
    for kind in (0..=255).filter_map(EntryKind::from_byte) {
        let commands = vec![ForwardedCommand { kind, data: Bytes::from_static(b"x") }];
        let mut frame = request_frame(1, &Request::ForwardApply(ForwardApply { commands, timeout_ms: 2 }));
        let client = kind == EntryKind::Command || kind.is_stamped();
        assert_eq!(decode(&mut frame, FrameLimits::default()).is_ok(), client, "{kind:?}");
    }
}

#[test]
fn entries_are_shared_and_not_copied() {
    let mut buffer = EntryBuffer::default();
    buffer.push(EntryKind::Command, &[7; 4096]);
    let batch = buffer.seal(LogIndex(1), Term(1));
    let append = AppendEntries {
        term: Term(1),
        leader: "n1".into(),
        prev: LogId::ZERO,
        commit: LogIndex(0),
        entries: batch.clone().into(),
    };
    let mut out = Outgoing::new();
    encode_request(&mut out, 1, &Request::AppendEntries(append.clone()), FrameLimits::default()).unwrap();
    let mut pieces = VecDeque::new();
    out.drain_into(&mut pieces);
    assert_eq!(pieces[1].as_ptr(), batch.bytes().as_ptr());
    let mut frame = request_frame(1, &Request::AppendEntries(append));
    let inside = frame.as_ptr_range();
    let Some((_, _, Message::Request(Request::AppendEntries(read)))) =
        decode(&mut frame, FrameLimits::default()).unwrap()
    else {
        panic!("not AppendEntries")
    };
    assert!(inside.contains(&read.entries.batches()[0].bytes().as_ptr()));
}

#[test]
fn entries_at_the_end_of_all_indexes_are_refused() {
    let mut buffer = EntryBuffer::default();
    buffer.push(EntryKind::Command, b"last");
    let last = buffer.seal(LogIndex(u64::MAX - 1), Term(1)).bytes().to_vec();
    // Two entries with a good checksum each, the first at the largest index there is.
    let mut first = last.clone();
    first[8..16].fill(0xff);
    let body = first.len() - 4;
    let checksum = crc32c::crc32c(&first[4..4 + body - 4]);
    first[..4].copy_from_slice(&checksum.to_le_bytes());
    first.extend_from_slice(&last);
    assert!(EntryBatch::verify(first.into()).is_err());
}

fn install_of(bytes: u64, offset: u64, data: Vec<u8>, servers: usize) -> InstallSnapshot {
    let server = |number: usize| Server {
        id: format!("{number:0>255}").as_str().into(),
        address: format!("{number:0>255}"),
        suffrage: Suffrage::Voter,
        incarnation: Incarnation(number as u128),
    };
    let description = SnapshotDescription {
        last: LogId::new(Term(2), LogIndex(9)),
        membership: Membership::new((0..servers).map(server)).unwrap(),
        membership_index: LogIndex(1),
        cluster: ClusterId(5),
    };
    InstallSnapshot {
        term: Term(3),
        leader: "n1".into(),
        snapshot: SnapshotMeta { description, bytes, checksum: 7 },
        offset,
        data: data.into(),
    }
}

#[test]
fn the_largest_piece_of_a_snapshot_with_the_largest_membership_fits() {
    let install = install_of(8 << 20, 4 << 20, vec![1; 4 << 20], Membership::SERVERS_MAX);
    let mut frame = request_frame(1, &Request::InstallSnapshot(install));
    assert!(decode(&mut frame, FrameLimits::default()).unwrap().is_some());
    let mut out = Outgoing::new();
    let larger = Request::InstallSnapshot(install_of(9 << 20, 0, vec![1; 5 << 20], 1));
    let error = encode_request(&mut out, 1, &larger, FrameLimits::default()).unwrap_err();
    assert!(matches!(error, FrameError::TooLarge { .. }), "{error}");
}

#[test]
fn a_piece_beyond_the_end_of_its_snapshot_is_refused() {
    for (bytes, offset) in [(9, 8), (9, u64::MAX), (0, 0)] {
        let mut frame = request_frame(1, &Request::InstallSnapshot(install_of(bytes, offset, vec![1, 2], 1)));
        assert!(matches!(decode(&mut frame, FrameLimits::default()), Err(FrameError::Malformed { .. })));
    }
}

#[test]
fn a_snapshot_without_a_voter_is_refused() {
    let mut install = install_of(9, 0, vec![1, 2], 1);
    install.snapshot.description.membership = Membership::default();
    let mut frame = request_frame(1, &Request::InstallSnapshot(install));
    assert!(matches!(decode(&mut frame, FrameLimits::default()), Err(FrameError::Malformed { .. })));
}
