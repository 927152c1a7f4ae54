//! How far the runs are: a bar where somebody watches, a line now and then where it goes into a file.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::tally::Tally;

/// How often there is a line where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct Progress {
    seeds: u64,
    began: Instant,
    shape: Shape,
}

enum Shape {
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Progress {
    pub(crate) fn start(seeds: u64) -> Self {
        let began = Instant::now();
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}");
        let shape = match style {
            Ok(style) if stderr().is_terminal() => Shape::Bar(ProgressBar::new(seeds).with_style(style)),
            _ => Shape::Lines { last: began },
        };
        Self { seeds, began, shape }
    }

    /// Shows how it stands, if it is time.
    pub(crate) fn show(&mut self, tally: &Tally) {
        let speed = speed(tally, self.began.elapsed());
        match &mut self.shape {
            Shape::Bar(bar) => {
                bar.set_position(tally.seeds());
                bar.set_message(speed);
            }
            Shape::Lines { last } if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                eprintln!("{}/{} {speed}", tally.seeds(), self.seeds);
            }
            Shape::Lines { .. } => {}
        }
    }

    /// How long it took.
    pub(crate) fn end(self) -> Duration {
        if let Shape::Bar(bar) = self.shape {
            bar.finish_and_clear();
        }
        self.began.elapsed()
    }
}

fn speed(tally: &Tally, wall: Duration) -> String {
    let wall = wall.as_secs_f64().max(f64::EPSILON);
    let (seeds, hours) = (tally.seeds() as f64, tally.virtual_time.as_secs_f64() / 3600.0);
    let (failed, rejected) = (tally.failed.len(), tally.rejections());
    format!(
        "{:.1} seeds/s, {:.3} virtual h/s, {failed} failed, {rejected} rejected",
        seeds / wall,
        hours / wall
    )
}
