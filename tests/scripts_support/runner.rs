//! The commands of a script. `tests/scripts.rs` says what each does.

use std::error::Error;

use goldenscript::{Argument, Command, Context, Runner};
use raftix::Config;

use super::{
    network::Selector,
    world::{Outcome, World},
};

/// Plays one script. Each `cluster` or `disks` begins anew.
pub(crate) struct Script {
    world: World,
}

impl Default for Script {
    fn default() -> Self {
        Self { world: World::new(0, Config::default()) }
    }
}

/// What stands behind a command's name: words, and one `key=value` pair at most of each key.
struct Arguments<'a> {
    words: Vec<&'a str>,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Arguments<'a> {
    fn of(command: &'a Command) -> Self {
        let (mut words, mut pairs) = (Vec::new(), Vec::new());
        for argument in &command.args {
            match argument {
                Argument::Positional(word) => words.push(word.as_str()),
                Argument::KeyValue(key, value) => pairs.push((key.as_str(), value.as_str())),
                other => panic!("what is {other}?"),
            }
        }
        Self { words, pairs }
    }

    fn pair(&mut self, key: &str) -> Option<&'a str> {
        let at = self.pairs.iter().position(|pair| pair.0 == key)?;
        Some(self.pairs.remove(at).1)
    }

    fn number<T: std::str::FromStr<Err: Error + 'static>>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, Box<dyn Error>> {
        Ok(self.pair(key).map(str::parse).transpose()?)
    }

    /// Takes `word` out. Whether it was there.
    fn flag(&mut self, word: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|present| *present != word);
        self.words.len() < before
    }

    fn first(&mut self) -> Result<&'a str, String> {
        if self.words.is_empty() { Err("which?".to_owned()) } else { Ok(self.words.remove(0)) }
    }

    fn take_words(&mut self) -> Vec<String> {
        self.words.drain(..).map(str::to_owned).collect()
    }

    fn done(self) -> Outcome {
        match (self.words.first(), self.pairs.first()) {
            (None, None) => Ok(()),
            (Some(word), _) => Err(format!("what is {word}?").into()),
            (None, Some((key, _))) => Err(format!("what is {key}?").into()),
        }
    }

    /// `n1 to n2`, `n1`, `to n2`, a kind of message, `count=…`, all of them optional.
    fn selector(&mut self) -> Result<Selector, Box<dyn Error>> {
        let mut selector = Selector { count: self.number("count")?, ..Selector::default() };
        let words = std::mem::take(&mut self.words);
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word == "to" {
                selector.to = Some(words.next().ok_or("to whom?")?.to_owned());
            } else if word.starts_with(char::is_uppercase) {
                selector.kind = Some(word.to_owned());
            } else {
                selector.from = Some(word.to_owned());
            }
        }
        Ok(selector)
    }
}

impl Script {
    /// The shipped settings, but for what the script sets.
    fn config(arguments: &mut Arguments<'_>) -> Result<Config, Box<dyn Error>> {
        let mut config = Config::default();
        if let Some(entries) = arguments.number("max-append-entries")? {
            config.max_append_entries = entries;
        }
        config.forwarding = !arguments.flag("no-forwarding");
        Ok(config)
    }

    /// Brings a cluster to where most scripts begin, without a trace but for the state it ends in.
    fn cluster(&mut self, arguments: &mut Arguments<'_>) -> Outcome {
        let nodes = arguments.number("nodes")?.unwrap_or(3);
        self.world = World::new(nodes, Self::config(arguments)?);
        for id in self.world.ids() {
            self.world.start(&id)?;
        }
        self.world.form()?;
        if let Some(leader) = arguments.pair("leader") {
            self.world.campaign(leader)?;
            self.world.stabilize()?;
        }
        self.world.trace.take();
        self.world.tell_status();
        Ok(())
    }

    fn disk(&mut self, arguments: &mut Arguments<'_>) -> Outcome {
        let id = arguments.first()?;
        let terms = arguments.take_words();
        let terms = terms.iter().map(|term| term.parse()).collect::<Result<Vec<u64>, _>>()?;
        let last = terms.last().copied().unwrap_or_default();
        let vote_term = arguments.number("term")?.unwrap_or(last);
        self.world.write_disk(id, vote_term, &terms)
    }

    fn propose(&mut self, arguments: &mut Arguments<'_>, context: &Context) -> Outcome {
        let id = arguments.first()?;
        for (name, value) in std::mem::take(&mut arguments.pairs) {
            self.world.propose(id, name, value)?;
        }
        // Queued: the node runs with the next command, as if both had come at once.
        if !context.tags.contains("queued") {
            self.world.settle();
        }
        Ok(())
    }

    fn partition(&mut self, arguments: &mut Arguments<'_>) -> Outcome {
        let words = arguments.take_words();
        let mut sides = words.split(|word| word == "from");
        let (Some(left), Some(right)) = (sides.next(), sides.next()) else { return Err("from whom?".into()) };
        self.world.partition(left, right);
        Ok(())
    }

    fn tick(&mut self, arguments: &mut Arguments<'_>) -> Outcome {
        let time = arguments.first()?;
        let milliseconds = match time.strip_suffix("ms") {
            Some(number) => number.parse::<u64>()?,
            None => time.strip_suffix('s').ok_or("ms or s?")?.parse::<u64>()? * 1000,
        };
        let ids = arguments.take_words();
        let ids = if ids.is_empty() { self.world.ids() } else { ids };
        self.world.tick(&ids, milliseconds)
    }

    /// The nodes that are named, or all of them.
    fn each(&mut self, arguments: &mut Arguments<'_>) -> Vec<String> {
        let ids = arguments.take_words();
        if ids.is_empty() { self.world.ids() } else { ids }
    }

    fn play(&mut self, command: &Command, context: &Context) -> Outcome {
        let mut arguments = Arguments::of(command);
        let given = &mut arguments;
        match command.name.as_str() {
            "cluster" => self.cluster(given)?,
            "disks" => {
                let nodes = given.number("nodes")?.unwrap_or(3);
                self.world = World::new(nodes, Self::config(given)?);
            }
            "disk" => self.disk(given)?,
            "start" | "restart" => {
                for id in self.each(given) {
                    self.world.start(&id)?;
                }
            }
            "join" => self.world.join(given.first()?)?,
            what @ ("add" | "add-nonvoter" | "demote" | "remove") => {
                let through = given.first()?;
                self.world.change(through, what, given.first()?)?;
            }
            "crash" => self.world.crash(given.first()?)?,
            "wipe" => self.world.wipe(given.first()?)?,
            "campaign" => self.world.campaign(given.first()?)?,
            "propose" => self.propose(given, context)?,
            "read" => {
                let id = given.first()?;
                self.world.read(id, given.first()?)?;
                self.world.settle();
            }
            "transfer" => {
                let id = given.first()?;
                self.world.transfer(id, given.pair("to"))?;
                self.world.settle();
            }
            "deliver" => self.world.deliver(&given.selector()?),
            "drop" => self.world.drop_messages(&given.selector()?),
            "partition" => self.partition(given)?,
            "heal" => self.world.network.heal(),
            "tick" => self.tick(given)?,
            "hold-flush" => self.world.hold_flush(given.first()?)?,
            "flush" => self.world.flush(given.first()?)?,
            "stabilize" => self.world.stabilize()?,
            "status" => self.world.tell_status(),
            "log" => {
                let ids = self.each(given);
                self.world.tell_logs(&ids)?;
            }
            other => return Err(format!("what is {other}?").into()),
        }
        arguments.done()
    }
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Result<String, Box<dyn Error>> {
        self.play(command, context)?;
        Ok(self.world.trace.take())
    }
}
