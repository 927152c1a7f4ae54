//! The settings of a running node. Go: `ReloadConfig`.

use actix::Message;

use crate::config::{Config, ConfigError, ReloadableConfig};

/// Ask which settings are in force.
///
/// - *Go*: `ReloadableConfig`.
/// - *From → to*: client → RaftSystem.
/// - *Reply*: all settings, with what was reloaded.
/// - *Loss*: none.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Config")]
pub struct GetConfig;

/// Change the settings that may change while the node runs, on this node alone.
///
/// They are checked together with those that stay; if one is refused, none is taken.
///
/// - *Go*: `ReloadConfig`.
/// - *From → to*: client → RaftSystem.
/// - *Reply*: nothing, once they are in force; or the rule that one would break.
/// - *Loss*: the old ones stay in force.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), ConfigError>")]
pub struct ReloadConfig(pub ReloadableConfig);

/// Other settings are in force.
///
/// - *Go*: `followerNotifyCh`, `leaderNotifyCh`.
/// - *From → to*: RaftSystem → Consensus.
/// - *Follows*: a shorter patience of a follower begins now. Everybody else looks at the settings each time.
/// - *Loss*: never.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ConfigReloaded;
