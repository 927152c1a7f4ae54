//! The list of surviving servers as operators of hashicorp/raft write it.

use serde::Deserialize;
use serde_json::Value;

use super::RecoveredServer;
use crate::{error::RecoverError, types::Suffrage};

/// One element of the newer form.
#[derive(Deserialize)]
struct Listed {
    id: String,
    address: String,
    #[serde(default)]
    non_voter: bool,
}

/// Reads a `peers.json`: `[{"id": "n1", "address": "a:7001", "non_voter": false}, …]`, where `non_voter` may be left
/// out, or the older `["a:7001", …]`, in which the address is the name, too.
///
/// # Errors
/// [`RecoverError::Unreadable`] with line and column for anything else; [`RecoverError::Servers`] if it lists no voter,
/// one twice, or empty names.
pub fn read_peers_json(text: &str) -> Result<Vec<RecoveredServer>, RecoverError> {
    read(text, "the list of servers")
}

pub(super) fn read(text: &str, file: &str) -> Result<Vec<RecoveredServer>, RecoverError> {
    let unreadable = |error: serde_json::Error| RecoverError::Unreadable {
        file: file.to_owned(),
        reason: error.to_string(),
    };
    let is_old = serde_json::from_str::<Vec<Value>>(text)
        .map_err(unreadable)?
        .first()
        .is_some_and(|first| first.is_string());
    let servers: Vec<RecoveredServer> = if is_old {
        let addresses: Vec<String> = serde_json::from_str(text).map_err(unreadable)?;
        addresses.into_iter().map(|address| RecoveredServer::voter(address.clone(), address)).collect()
    } else {
        let listed: Vec<Listed> = serde_json::from_str(text).map_err(unreadable)?;
        listed.into_iter().map(Into::into).collect()
    };
    super::check(&servers)?;
    Ok(servers)
}

impl From<Listed> for RecoveredServer {
    fn from(listed: Listed) -> Self {
        let suffrage = if listed.non_voter { Suffrage::Nonvoter } else { Suffrage::Voter };
        Self { id: listed.id.into(), address: listed.address, suffrage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::MembershipError;

    #[test]
    fn both_forms_are_read() {
        let old = read_peers_json(r#"["a:1", "b:1"]"#).unwrap();
        assert_eq!(old, [RecoveredServer::voter("a:1", "a:1"), RecoveredServer::voter("b:1", "b:1")]);
        let text = r#"[
            {"id": "n1", "address": "a:1"},
            {"id": "n2", "address": "b:1", "non_voter": true, "since": 5},
            {"id": "n3", "address": "c:1", "non_voter": false}
        ]"#;
        let new = read_peers_json(text).unwrap();
        let second = RecoveredServer { suffrage: Suffrage::Nonvoter, ..RecoveredServer::voter("n2", "b:1") };
        assert_eq!(new, [RecoveredServer::voter("n1", "a:1"), second, RecoveredServer::voter("n3", "c:1")]);
    }

    #[test]
    fn what_is_no_list_of_servers_is_refused_with_its_place() {
        for (text, place) in [
            ("", "line 1 column 0"),
            ("{}", "line 1 column 0"),
            (r#"["a:1", 5]"#, "line 1 column 9"),
            (r#"["a:1", {"id": "n2", "address": "b:1"}]"#, "line 1"),
            ("[\n{\"id\": \"n1\"}]", "line 2"),
            (r#"[{"id": "n1", "address": "a:1", "non_voter": "no"}]"#, "line 1"),
            (r#"["a:1"] and more"#, "line 1 column 9"),
        ] {
            let error = read_peers_json(text).unwrap_err();
            assert!(matches!(error, RecoverError::Unreadable { .. }), "{text}: {error}");
            assert!(error.to_string().contains(place), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_membership_is_refused() {
        let refused = |text| match read_peers_json(text) {
            Err(RecoverError::Servers(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused("[]"), MembershipError::NoVoter);
        assert_eq!(refused(r#"["a:1", "a:1"]"#), MembershipError::DuplicateId("a:1".into()));
        assert_eq!(refused(r#"[{"id": "", "address": "a:1"}]"#), MembershipError::BadServer("".into()));
        assert_eq!(
            refused(r#"[{"id": "n1", "address": "a:1", "non_voter": true}]"#),
            MembershipError::NoVoter
        );
        let two = r#"[{"id": "n1", "address": "a:1"}, {"id": "n2", "address": "a:1"}]"#;
        assert_eq!(refused(two), MembershipError::DuplicateAddress("a:1".into()));
    }
}
