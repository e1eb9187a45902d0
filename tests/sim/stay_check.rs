//! Compares what one client has received during one stay in a room with the lines of that room.

use super::announcements::Announced;
use super::room_lines::{Instead, Named, RoomLines};
use super::transcript::{Item, Stay};
use std::collections::{BTreeSet, HashMap};
use std::iter::Peekable;
use std::ops::Range;

/// The line up to which a stay must be complete.
pub enum Until {
    /// The last line of the room: the client is still in the room.
    End,
    /// The client's own last line: the client went on to another room.
    LastOwn,
    /// None: the client's connection ended.
    Anywhere,
}

/// What an item of a transcript says of whom its client ignores. Observers, who never speak, have no owners.
pub fn change_ignored(ignored: &mut BTreeSet<usize>, item: &Item, owners: &HashMap<String, usize>) {
    match item {
        Item::Ignores(name) => {
            let is_new = owners.get(name).is_none_or(|&owner| ignored.insert(owner));
            assert!(is_new, "{name} is ignored already");
        }
        Item::Hears(name) => {
            let was_ignored = owners.get(name).is_none_or(|owner| ignored.remove(owner));
            assert!(was_ignored, "{name} is not ignored");
        }
        Item::Line(_) | Item::Skipped(_) => {}
    }
}

/// Where a stay does not fit: after so many items, and which line of the room was wanted then.
struct Mismatch {
    items: usize,
    want: Option<usize>,
}

/// One of several possibilities of what is to be received next.
#[derive(Clone)]
struct Ahead<W: Iterator<Item = usize>, I: Iterator<Item = Instead>> {
    /// Lines of the room.
    wanted: Peekable<W>,
    /// What comes in place of announcements.
    instead: Peekable<I>,
    /// Those of whom nothing has been received since the client hears them again.
    heard_again: BTreeSet<usize>,
}

impl<W: Iterator<Item = usize>, I: Iterator<Item = Instead>> Ahead<W, I> {
    /// The same after what comes next in place of an announcement.
    fn received_instead(mut self) -> Self {
        self.instead.next();
        self
    }

    /// The same after the next line of the room.
    fn received_wanted(mut self) -> Self {
        self.wanted.next();
        self.heard_again.clear();
        self
    }
}

/// Compares one stay of a client with the lines of its room.
pub struct StayCheck<'a> {
    pub room: &'a RoomLines,
    pub stay: &'a Stay,
    pub client: usize,
    /// The client to which each name belonged.
    pub owners: &'a HashMap<String, usize>,
    /// The clients that the client ignores at the start of the stay.
    pub ignored: BTreeSet<usize>,
    /// The announcements that name the client.
    pub named: &'a Named,
    /// The positions of the first and the last line that the client said during the stay.
    pub first_own: Option<usize>,
    pub last_own: Option<usize>,
}

impl StayCheck<'_> {
    /// The client has received the last lines that people had said before it came, and from there on every line of others
    /// once, in order, or has received a notice that counts it. Where in the room's lines it came is not known: there
    /// must be such a place.
    pub fn assert_received(&self, until: Until) {
        let end = match until {
            Until::End => self.room.lines.len(),
            Until::LastOwn => self.last_own.unwrap_or(0),
            Until::Anywhere => 0,
        };
        if self.is_blurred() {
            return self.assert_in_order();
        }
        let mut furthest = Mismatch {
            items: 0,
            want: None,
        };
        for entry in self.entries() {
            for counted in self.counted_in(entry) {
                match self.received(entry, counted, end) {
                    Ok(()) => return,
                    Err(failure) if failure.items >= furthest.items => furthest = failure,
                    Err(_) => {}
                }
            }
        }
        let item = self.stay.items.get(furthest.items);
        let item = format!("{item:?}");
        let want = furthest.want.map_or("nothing", |at| &self.room.lines[at]);
        let (client, room, items) = (self.client, &self.stay.room, furthest.items);
        panic!("client {client} in {room}: after {items} items {item:.70}, not {want:.60}");
    }

    /// What the client has received live was said in the room, in that order.
    fn assert_in_order(&self) {
        let mut lines = self.room.lines.iter();
        for item in self.stay.items.iter().skip(self.stay.history) {
            if let Item::Line(line) = item
                && Announced::read(line).is_none()
            {
                let client = self.client;
                assert!(
                    lines.any(|said| said == line),
                    "client {client}: {line:.60}"
                );
            }
        }
    }

    /// Where the client may have come: shortly before the first line that it received live.
    fn entries(&self) -> Vec<usize> {
        let last = self.first_own.unwrap_or(self.room.lines.len());
        let items = &self.stay.items;
        let is_line = |item: &Item| matches!(item, Item::Line(_));
        let live = items.get(self.stay.history..).unwrap_or_default();
        let first = live.iter().position(is_line);
        let before = items.get(..self.stay.history + first.unwrap_or(0));
        let is_skipped = |item: &Item| matches!(item, Item::Skipped(_));
        let first = match first.map(|at| &live[at]) {
            Some(Item::Line(line)) if !before.into_iter().flatten().any(is_skipped) => line,
            _ => return (0..=last).rev().collect(),
        };
        let places = self.room.places.get(first).map_or(&[][..], |places| places);
        // What stands for an announcement may reach the client without what was said before that: if the client goes to another
        // room, or if lines are skipped, of which it hears later.
        if let Some(most) = self.places_of_instead(first).into_iter().max() {
            let most = places.iter().copied().fold(most, usize::max);
            return (0..=most.min(last)).rev().collect();
        }
        let mut ignored = self.ignored.clone();
        for item in &self.stay.items {
            if let Item::Ignores(name) = item {
                ignored.extend(self.owners.get(name));
            }
        }
        let mut entries = Vec::new();
        for &place in places {
            let mut entry = place.min(last);
            entries.push(entry);
            while entry > 0 && !self.is_others(entry - 1, &ignored) {
                entry -= 1;
                entries.push(entry);
            }
        }
        entries
    }

    /// The announcements in whose place the client may have received a line.
    fn places_of_instead(&self, line: &str) -> Vec<usize> {
        let Some((announced, _)) = Announced::read(line) else {
            return Vec::new();
        };
        let counts = announced.counts();
        let named = self.named.instead.iter().map(|(at, it)| (*at, *it));
        let counted = self.room.counted.iter();
        let counted = counted.map(|at| (*at, self.room.announcements[at].without_one()));
        let instead = named.chain(counted).filter(|(_, it)| it.contains(&counts));
        instead.map(|(at, _)| at).collect()
    }

    /// Whether a line is another's whom the client does not ignore, and no announcement that may be the client's own.
    fn is_others(&self, at: usize, ignored: &BTreeSet<usize>) -> bool {
        self.room.authors[at] != Some(self.client)
            && !self.named.places.contains(&at)
            && self.room.counted.binary_search(&at).is_err()
            && !ignored.iter().any(|&it| self.is_said_by(at, it))
    }

    /// Whether a line is what this client has said, and no notice about it.
    fn is_said_by(&self, at: usize, client: usize) -> bool {
        self.room.authors[at] == Some(client) && !self.room.are_notices[at]
    }

    /// Whether lines were skipped in a stay in which it has changed who is ignored. Which of the skipped lines were said
    /// before that cannot be told.
    fn is_blurred(&self) -> bool {
        let is_change = |item: &Item| matches!(item, Item::Ignores(_) | Item::Hears(_));
        let items = &self.stay.items;
        items.iter().any(is_change) && items.iter().any(|it| matches!(it, Item::Skipped(_)))
    }

    /// Takes the next line that the client is to receive: none that was said live by somebody whom it ignores.
    fn next_wanted(
        &self,
        wanted: &mut Peekable<impl Iterator<Item = usize>>,
        entry: usize,
        ignored: &BTreeSet<usize>,
    ) -> Option<usize> {
        let is_ignored =
            |at: &usize| *at >= entry && ignored.iter().any(|&author| self.is_said_by(*at, author));
        while wanted.next_if(is_ignored).is_some() {}
        wanted.peek().copied()
    }

    /// The announcements of numbers after `entry` in which the client may be counted: in none, or in one as a newcomer; and
    /// in the first of them as one that has left, if it has come back before that was announced.
    fn counted_in(&self, entry: usize) -> Vec<[Option<usize>; 2]> {
        let counted = self.room.counted.iter().filter(|&&at| at >= entry);
        let counted: Vec<Option<usize>> = counted.copied().map(Some).chain([None]).collect();
        let first = counted[0];
        let once = counted.iter().map(|&at| [at, None]);
        let twice = counted[1..].iter().map(|&at| [first, at]);
        once.chain(twice).collect()
    }

    /// What the client receives in place of the announcements after `entry` that it does not receive.
    fn instead(
        &self,
        entry: usize,
        counted: [Option<usize>; 2],
    ) -> impl Iterator<Item = Instead> + Clone {
        let [first, second] = counted.map(|at| at.unwrap_or(usize::MAX));
        let without_one = |at: usize| self.room.announcements[&at].without_one();
        let counted = counted.map(|at| at.map(without_one));
        let named = |range: Range<usize>| self.named.instead.range(range).map(|(_, it)| *it);
        named(entry..first)
            .chain(counted[0])
            .chain(named(first..second))
            .chain(counted[1])
            .chain(named(second..usize::MAX))
    }

    /// The line that the client is to receive next, when it has received `line`. Of those whom it hears again some lines may
    /// have been said before that.
    fn want(
        &self,
        line: &str,
        wanted: &mut Peekable<impl Iterator<Item = usize>>,
        entry: usize,
        [ignored, heard_again]: [&BTreeSet<usize>; 2],
    ) -> Option<usize> {
        loop {
            let want = self.next_wanted(wanted, entry, ignored);
            let may_be_missing = |&at: &usize| {
                let mut authors = heard_again.iter();
                self.room.lines[at] != line && authors.any(|&it| self.is_said_by(at, it))
            };
            if want.filter(may_be_missing).is_none() {
                return want;
            }
            wanted.next();
        }
    }

    /// Checks the stay if the client came at `entry` and was counted in the announcements at `counted`.
    fn received(
        &self,
        entry: usize,
        counted: [Option<usize>; 2],
        end: usize,
    ) -> Result<(), Mismatch> {
        let mut ignored = self.ignored.clone();
        let mut ahead = vec![self.all_ahead(entry, counted)];
        for (nth, item) in self.stay.items.iter().enumerate() {
            let mut want = None;
            match item {
                Item::Line(line) => want = self.receive(line, &mut ahead, entry, &ignored),
                Item::Ignores(_) => {}
                // Of that person's next lines some may have been said before this.
                Item::Hears(name) => {
                    for it in &mut ahead {
                        it.heard_again.extend(self.owners.get(name));
                    }
                }
                Item::Skipped(lines) => ahead.retain_mut(|it| {
                    (0..*lines).all(|_| {
                        self.next_wanted(&mut it.wanted, entry, &ignored);
                        it.wanted.next().is_some()
                    })
                }),
            }
            change_ignored(&mut ignored, item, self.owners);
            if ahead.is_empty() {
                return Err(Mismatch { items: nth, want });
            }
        }
        let mut want = None;
        for it in ahead {
            let authors = ignored.union(&it.heard_again);
            let is_ignored = |at: usize| authors.clone().any(|&it| self.is_said_by(at, it));
            let missing = |&at: &usize| (entry..end).contains(&at) && !is_ignored(at);
            want = it.wanted.take_while(|&at| at < end).find(missing);
            if want.is_none() {
                return Ok(());
            }
        }
        Err(Mismatch {
            items: self.stay.items.len(),
            want,
        })
    }

    /// All that the client is to receive if it came at `entry` and was counted in the announcements at `counted`.
    fn all_ahead(
        &self,
        entry: usize,
        counted: [Option<usize>; 2],
    ) -> Ahead<impl Iterator<Item = usize> + Clone, impl Iterator<Item = Instead> + Clone> {
        let is_said = |at: &usize| !self.room.are_notices[*at];
        let mut history: Vec<usize> = Vec::new();
        if self.stay.history > 0 {
            history.extend((0..entry).rev().filter(is_said).take(self.stay.history));
        }
        let is_others = move |at: &usize| {
            self.room.authors[*at] != Some(self.client)
                && !self.named.places.contains(at)
                && !counted.contains(&Some(*at))
        };
        let live = (entry..self.room.lines.len()).filter(is_others);
        Ahead {
            wanted: history.into_iter().rev().chain(live).peekable(),
            instead: self.instead(entry, counted).peekable(),
            heard_again: BTreeSet::new(),
        }
    }

    /// The client has received a line. It may be both the room's next and one in place of an announcement: from there on there
    /// are two possibilities. Of those that have the same next line, the rest is the same too. Returns a line that was wanted.
    fn receive(
        &self,
        line: &str,
        ahead: &mut Vec<
            Ahead<impl Iterator<Item = usize> + Clone, impl Iterator<Item = Instead> + Clone>,
        >,
        entry: usize,
        ignored: &BTreeSet<usize>,
    ) -> Option<usize> {
        let counts = Announced::read(line).map(|(it, _)| it.counts());
        let is_instead = |it: &Instead| counts.is_some_and(|its| it.contains(&its));
        let mut want = None;
        for mut it in std::mem::take(ahead) {
            let stands_instead = it.instead.peek().is_some_and(is_instead);
            // Before it: of those who are ignored now nothing has been passed over so far.
            let instead = stands_instead.then(|| it.clone().received_instead());
            // Flushed parts of lines are often equal: it may be the first of them, or a later one.
            loop {
                want = self.want(line, &mut it.wanted, entry, [ignored, &it.heard_again]);
                let Some(at) = want.filter(|&at| self.room.lines[at] == *line) else {
                    break;
                };
                ahead.push(it.clone().received_wanted());
                if !it.heard_again.iter().any(|&by| self.is_said_by(at, by)) {
                    break;
                }
                it.wanted.next();
            }
            ahead.extend(instead);
        }
        ahead.dedup_by_key(|it| it.wanted.peek().copied());
        want
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether guest7 can have received these items if it came before the room's first line.
    fn is_received(lines: &[&str], items: Vec<Item>) -> bool {
        let owner = |(name, client): (&str, usize)| (name.to_string(), client);
        let owners = HashMap::from([("guest7", 4), ("guest5", 2)].map(owner));
        let room = RoomLines::new(lines.iter().map(ToString::to_string).collect(), &owners);
        let stay = Stay {
            room: "lobby".into(),
            history: 0,
            items,
        };
        let check = StayCheck {
            room: &room,
            stay: &stay,
            client: 4,
            named: room.named_of(4),
            first_own: None,
            last_own: None,
            ignored: BTreeSet::new(),
            owners: &owners,
        };
        check.received(0, [None, None], lines.len()).is_ok()
    }

    fn line(line: &str) -> Item {
        Item::Line(line.into())
    }

    /// A client that reads slowly was sent, in place of an announcement of itself, what another announcement says too that it
    /// lost.
    #[test]
    fn a_line_may_stand_for_either_of_two_announcements() {
        let lines = [
            "guest8: L5.8.",
            "* left: guest8 (6 here)",
            "* joined: guest8 (6 here)",
            "* joined: guest7; left: guest8 (6 here)",
            "guest5: L2.4.",
            "guest5: L2.5.",
        ];
        let is_received = |skipped| {
            let mut items: Vec<Item> = [0, 1, 4, 5].map(|at| line(lines[at])).into();
            items.insert(2, Item::Skipped(skipped));
            is_received(&lines, items)
        };
        assert!(is_received(1), "the one of the room was received");
        assert!(is_received(2), "the one of the room was skipped");
        assert!(!is_received(3), "more were skipped than were lost");
    }

    #[test]
    fn lines_are_left_out_from_where_their_author_is_ignored_to_where_it_is_heard_again() {
        let lines = [
            "guest5: L2.1.",
            "guest5: L2.2.",
            "* joined: guest7; left: guest8 (6 here)",
            "guest5: L2.3.",
        ];
        let is_received = |before: Option<&str>, after: Option<&str>| {
            let mut items = vec![line(lines[0]), Item::Ignores("guest5".into())];
            items.extend(before.map(line));
            items.extend([
                line("* left: guest8 (6 here)"),
                Item::Hears("guest5".into()),
            ]);
            items.extend(after.map(line));
            is_received(&lines, items)
        };
        assert!(is_received(None, Some(lines[3])));
        assert!(is_received(None, None), "all of it was said before");
        assert!(
            !is_received(Some(lines[1]), None),
            "not while it is ignored"
        );
        assert!(!is_received(None, Some("guest5: L2.4.")), "never said");
    }

    #[test]
    fn of_equal_lines_the_later_one_may_be_the_first_that_is_heard_again() {
        let texts = ["L2.1.", "t", "xt", "t", "te"];
        let lines = texts.map(|text| format!("guest5: {text}"));
        let lines: Vec<&str> = lines.iter().map(|line| &**line).collect();
        let is_received = |heard: &[&str]| {
            let mut items = vec![line(lines[0]), Item::Ignores("guest5".into())];
            items.push(Item::Hears("guest5".into()));
            items.extend(heard.iter().copied().map(line));
            is_received(&lines, items)
        };
        assert!(is_received(&lines[1..]) && is_received(&lines[3..]));
        assert!(!is_received(&[lines[1], lines[2], lines[4]]));
    }
}
