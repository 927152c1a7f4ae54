//! The settings in force, and changing those that a running node can change.

use actix::{Handler, MessageResult};

use super::RaftSystem;
use crate::{
    mailbox::Context,
    messages::{ConfigReloaded, GetConfig, ReloadConfig},
    state_machine::StateMachine,
};

impl<S: StateMachine> Handler<GetConfig> for RaftSystem<S> {
    type Result = MessageResult<GetConfig>;

    fn handle(&mut self, _: GetConfig, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.node.config_in_force())
    }
}

impl<S: StateMachine> Handler<ReloadConfig> for RaftSystem<S> {
    type Result = MessageResult<ReloadConfig>;

    fn handle(&mut self, ReloadConfig(part): ReloadConfig, _: &mut Context<Self>) -> Self::Result {
        let reloaded = self.node.reload(part);
        // A node on its way out ticks as it did until it has stopped.
        if reloaded.is_ok() && self.lifecycle.refusal().is_none() {
            tracing::info!(node = %self.node.id, settings = ?part, "reloaded");
            self.lifecycle.tick_anew(self.node.start_ticking());
            self.node.ports().consensus.reloaded.send_now(ConfigReloaded);
        }
        MessageResult(reloaded)
    }
}
