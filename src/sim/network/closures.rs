//! Ways that are closed, and open again.

use super::{channel::Stage, ends::WayId, state::State};

impl State {
    /// Lets go what was held back on a way: it keeps the places it had.
    pub(super) fn unclog(&mut self, way: WayId) {
        self.ways[way].is_clogged = false;
        let back = self.ways[way].back;
        for (of, asks) in [(way, true), (back, false)] {
            for channel in &mut self.ways[of].channels {
                for number in channel.exchanges.numbers() {
                    let Some(exchange) = channel.exchanges.get_mut(number) else { continue };
                    let is_here = matches!(exchange.stage, Stage::Asking { .. }) == asks;
                    if is_here && std::mem::take(&mut exchange.is_held) {
                        exchange.planned.into_iter().for_each(|planned| self.queue.put_back(planned));
                    }
                }
            }
        }
        for past in &mut self.ways[way].past {
            if std::mem::take(&mut past.is_held) {
                self.queue.put_back(past.planned);
            }
        }
    }

    /// Opens every way.
    pub(super) fn heal(&mut self) {
        for way in self.ways.ids() {
            self.ways[way].is_cut = false;
            self.unclog(way);
        }
    }
}
