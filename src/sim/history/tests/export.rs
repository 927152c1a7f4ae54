//! The lines that other tools read.

use std::collections::BTreeMap;

use actix::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::support::*;
use crate::{
    sim::{
        history::{Action, History, Outcome},
        kv::KvReply,
    },
    state_machine::StateMachine,
    types::LogId,
};

#[test]
fn each_event_is_a_line_in_the_shape_of_jepsen() {
    let history = history([
        (1, 1, Some(4), put("1;"), replaced(2, None)),
        (2, 2, Some(3), get(), saw(2, Some("1;"))),
        (2, 5, Some(6), cas(Some("1;"), "2;"), Outcome::Refused),
    ]);
    let expected = r#"
{"index":0,"time":1,"process":0,"type":"invoke","f":"put","key":"a","value":{"value":"1;"},"operation":0,"client":1,"node":"n1"}
{"index":1,"time":2,"process":1,"type":"invoke","f":"get","key":"a","value":null,"operation":1,"client":2,"node":"n1"}
{"index":2,"time":3,"process":1,"type":"ok","f":"get","key":"a","value":"1;","operation":1,"client":2,"node":"n1","read_index":2}
{"index":3,"time":4,"process":0,"type":"ok","f":"put","key":"a","value":{"Replaced":null},"operation":0,"client":1,"node":"n1","log_id":{"term":1,"index":2}}
{"index":4,"time":5,"process":1,"type":"invoke","f":"cas","key":"a","value":{"expect":"1;","value":"2;"},"operation":2,"client":2,"node":"n1"}
{"index":5,"time":6,"process":1,"type":"fail","f":"cas","key":"a","value":{"expect":"1;","value":"2;"},"operation":2,"client":2,"node":"n1"}
"#;
    assert_eq!(history.to_json_lines(), expected.trim_start());
}

#[test]
fn no_process_asks_again_before_it_knows_how_the_last_ended() {
    let history = history([
        (7, 1, Some(2), put("1;"), Outcome::Unknown),
        (7, 3, Some(6), append("2;"), applied(3, KvReply::Appended("1;2;".into()))),
        (7, 4, Some(5), get(), saw(2, Some("1;"))),
        (7, 7, None, get(), Outcome::Unknown),
    ]);
    let lines = history.to_json_lines();
    let processes = lines.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        format!("{}{}", line["type"].as_str().unwrap(), line["process"])
    });
    let processes: Vec<_> = processes.collect();
    assert_eq!(processes, ["invoke0", "info0", "invoke1", "invoke2", "ok2", "ok1", "invoke1"]);
}

/// No enum, though with its one field it looks like one; and it may hold what JSON does not, keys that are no
/// text.
#[derive(Clone, Debug, PartialEq, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
struct Add {
    amounts: BTreeMap<Account, u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Account(u8, u8);

#[derive(Clone, Debug, PartialEq, Message, Serialize)]
#[rtype(result = "()")]
enum Ask {
    Total,
    Since { index: u8 },
}

struct Odd;

impl StateMachine for Odd {
    type Command = Add;
    type Query = Ask;

    fn apply(&mut self, _: LogId, _: Add) {}

    fn query(&self, _: Ask) {}
}

#[test]
fn what_is_no_enum_stays_whole_and_what_json_cannot_hold_is_text() {
    let mut history = History::<Odd>::new();
    let add = |amounts| Action::Apply(Add { amounts });
    history.invoked(1, 1, "n1".into(), add([].into()));
    history.invoked(2, 1, "n1".into(), add([(Account(1, 2), 3)].into()));
    history.invoked(3, 1, "n1".into(), Action::Query(Ask::Total));
    history.invoked(4, 1, "n1".into(), Action::Query(Ask::Since { index: 7 }));
    let lines = history.to_json_lines();
    let parts = lines.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        format!("{} {}", line["f"].as_str().unwrap(), line["value"])
    });
    let expected = [
        r#"apply {"amounts":{}}"#,
        r#"apply "Add { amounts: {Account(1, 2): 3} }""#,
        "total null",
        r#"since {"index":7}"#,
    ];
    assert_eq!(parts.collect::<Vec<_>>(), expected);
}
