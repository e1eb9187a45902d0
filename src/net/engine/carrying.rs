//! Ops carried out, and lanes read, while the engine can be used. Connects to nothing.

use super::answers::{self, NONSENSE};
use super::attaching::Attaching;
use super::barrier::Barrier;
use super::client::{Client, Purpose, Question};
use super::command::{self, BLOCK_MS, ENTRIES_A_READ};
use super::connection::Broken;
use super::entries::Ended;
use super::session::Session;
use super::tasks::Task;
use super::trouble::Remedy;
use super::value::Value;
use crate::hub::link::contract::{Batch, Input, Op, Outcome};
use std::time::Duration;

/// How long a read waits at most, on purpose.
const BLOCK: Duration = Duration::from_millis(BLOCK_MS);

/// Ops.
impl Session {
    /// See [`super::Engine::submit`].
    pub fn submit(&mut self, op: Op) {
        if !self.is_known {
            return;
        }
        match op {
            _ if self.attaching.is_some() => self.waiting.push_back(op),
            Op::Attach {
                name,
                incarnation,
                started,
                history_entries,
            } => {
                let world = format!("{incarnation:016x}-{:08x}", self.salt);
                let lanes = self.lanes.count();
                let who = (name, incarnation);
                let attaching = Attaching::new(who, started, history_entries, world, lanes);
                self.attaching = Some(attaching);
                self.push(self.lanes.directory(), Task::Open(self.lanes.directory()));
            }
            Op::Append(batch) => self.push(self.lanes.place(batch.lane), Task::Append(batch)),
            Op::Close(batch) => self.push(self.lanes.place(batch.lane), Task::Close(batch)),
        }
    }

    /// A lane's task is to be carried out.
    fn push(&mut self, lane: usize, task: Task) {
        let place = self.clients.route(lane);
        self.clients.get_mut(place).tasks.push(task);
    }

    /// See [`super::Engine::flush`].
    pub fn flush(&mut self) {
        for place in self.clients.places() {
            if !self.clients.has(place) {
                // It was lost with another one.
                continue;
            }
            if self.is_open() {
                self.send_tasks(place);
            }
            if let Err(why) = self.clients.get_mut(place).connection.flush() {
                self.lose(place, &why);
            }
        }
    }

    fn send_tasks(&mut self, place: usize) {
        let (lanes, scripts, attaching) = (&self.lanes, &self.scripts, &self.attaching);
        let (world, options) = (&self.world, &self.options);
        let entries_max = options.entries_max;
        let client = self.clients.get_mut(place);
        client.send_tasks(self.now, |out, task, by_text| match task {
            Task::Open(lane) => {
                let keys = &lanes.get(*lane).keys;
                if let Some(attaching) = attaching {
                    let opening = attaching.opening(lanes, *lane, options.format, entries_max);
                    scripts.write_open(out, by_text, keys, &opening);
                }
            }
            Task::Append(batch) => {
                let keys = &lanes.get(lanes.place(batch.lane)).keys;
                scripts.write_append(out, by_text, keys, world, entries_max, batch);
            }
            Task::Close(batch) => {
                let keys = &lanes.get(lanes.place(batch.lane)).keys;
                scripts.write_close(out, by_text, keys, entries_max, batch);
            }
        });
    }

    /// A task has been carried out.
    pub(super) fn task_done(&mut self, place: usize, value: &Value) -> Result<(), Broken> {
        let tasks = &mut self.clients.get_mut(place).tasks;
        let task = tasks.take_answered().ok_or(NONSENSE)?;
        tasks.succeeded();
        self.told_tasks.clear();
        match task {
            Task::Open(lane) => return self.lane_opened(lane, value),
            Task::Append(batch) => {
                let outcome = answers::outcome(value).ok_or(NONSENSE)?;
                self.appended(&batch, batch.number, outcome);
            }
            Task::Close(batch) => {
                let outcome = answers::outcome(value).ok_or(NONSENSE)?;
                self.appended(&batch, Batch::LAST, outcome);
            }
        }
        Ok(())
    }

    fn appended(&mut self, batch: &Batch, number: u64, outcome: Outcome) {
        self.inputs.push_back(Input::Appended {
            lane: batch.lane,
            incarnation: batch.incarnation,
            number,
            outcome,
        });
    }

    /// An incarnation has been opened in a lane.
    fn lane_opened(&mut self, lane: usize, value: &Value) -> Result<(), Broken> {
        let opened = answers::opened(value).ok_or(NONSENSE)?;
        let Some(attaching) = &mut self.attaching else {
            return Err(NONSENSE.into());
        };
        let is_directory = lane == self.lanes.directory();
        if is_directory {
            let (node, others) = answers::attached(value).ok_or(NONSENSE)?;
            attaching.directory_opened(&opened, node, others);
        }
        let inputs = attaching.lane_opened(&mut self.lanes, lane, &opened);
        if is_directory {
            for lane in 0..lane {
                self.push(lane, Task::Open(lane));
            }
        }
        let Some(inputs) = inputs else { return Ok(()) };
        if let Some(attaching) = self.attaching.take() {
            attaching.world().clone_into(&mut self.world);
        }
        self.inputs.extend(inputs);
        for op in std::mem::take(&mut self.waiting) {
            self.submit(op);
        }
        self.read_all();
        Ok(())
    }

    /// The engine has refused a task.
    pub(super) fn task_refused(
        &mut self,
        place: usize,
        error: &str,
        remedy: Remedy,
        why: String,
    ) -> Result<(), Broken> {
        let tasks = &mut self.clients.get_mut(place).tasks;
        let task = tasks.take_answered().ok_or(NONSENSE)?;
        match remedy {
            Remedy::SendScript => tasks.retry_by_text(task),
            Remedy::TryAgain => {
                tasks.retry(task, self.now);
                self.tell_trouble(place, &why);
            }
            Remedy::Reconnect => return Err(why),
            Remedy::GiveUp => {
                // Whatever is done to the engine, this node cannot be one of its nodes.
                let is_final = ["MISMATCH", "TOOMANY"]
                    .iter()
                    .any(|it| error.starts_with(it));
                if is_final && matches!(task, Task::Open(_)) {
                    self.refusal = Some(why.clone());
                }
                return Err(why);
            }
        }
        Ok(())
    }
}

/// Lanes.
impl Session {
    /// All clients that read and do not wait for an answer read on; each looks first whether its lanes have lost something.
    pub(super) fn read_all(&mut self) {
        if !self.is_reading() {
            return;
        }
        for place in self.clients.places() {
            let client = self.clients.get(place);
            if matches!(client.purpose, Purpose::Reads(_)) && client.is_idle() {
                self.look_at_ends(place);
            }
        }
    }

    /// Those that could not read are to try it again.
    pub(super) fn retry_reads(&mut self) {
        if self.checked_at + BLOCK <= self.now {
            self.read_all();
        }
    }

    /// Asks where the lanes of a client end.
    fn look_at_ends(&mut self, place: usize) {
        self.checked_at = self.now;
        let (lanes, scripts, now) = (&self.lanes, &self.scripts, self.now);
        let client = self.clients.get_mut(place);
        let Purpose::Reads(places) = client.purpose.clone() else {
            return;
        };
        for lane in places {
            let keys = &lanes.get(lane).keys;
            client.ask(Question::Ends(lane), now, |out| {
                scripts.write_ends(out, false, keys);
            });
        }
    }

    /// Reads the lanes of a client on, and waits for something to be there.
    pub(super) fn read(&mut self, place: usize) {
        let lanes = &self.lanes;
        let client = self.clients.get_mut(place);
        let Purpose::Reads(places) = client.purpose.clone() else {
            return;
        };
        let cursors = places.iter().map(|&lane| {
            let lane = lanes.get(lane);
            (&lane.keys, lane.cursor.unwrap_or_default())
        });
        client.ask_and_wait(Question::Read, self.now, BLOCK, |out| {
            command::write_read(out, cursors);
        });
    }

    /// The answer to a read has been passed on.
    pub(super) fn read_ended(&mut self, place: usize, ended: Ended) {
        if self.cluster.is_none() {
            if ended.entries_of_one < ENTRIES_A_READ {
                self.inputs.push_back(Input::CaughtUp);
            }
        } else {
            self.advance_barrier();
        }
        if ended.entries == 0 || self.checked_at + BLOCK <= self.now {
            self.look_at_ends(place);
        } else {
            self.read(place);
        }
    }

    /// Whether the lanes of a cluster have been read as far as they went when this was asked; then it is asked again.
    fn advance_barrier(&mut self) {
        let lanes = &self.lanes;
        let Some(barrier) = &mut self.barrier else {
            return self.begin_barrier();
        };
        barrier
            .ends
            .retain(|&(lane, end)| lanes.get(lane).sequence < end);
        if barrier.left == 0 && barrier.ends.is_empty() {
            self.barrier = None;
            self.inputs.push_back(Input::CaughtUp);
        }
    }

    fn begin_barrier(&mut self) {
        let left = self.lanes.count();
        let ends = Vec::with_capacity(left);
        self.barrier = Some(Barrier { left, ends });
        for lane in 0..left {
            let meta = &*self.lanes.get(lane).keys.meta;
            let client = self.clients.get_mut(self.clients.route(lane));
            client.ask(Question::Sequence(lane), self.now, |out| {
                command::write_words(out, &["HGET", meta, "seq"]);
            });
        }
    }

    /// Where a lane of a cluster ended when that was asked.
    pub(super) fn barrier_answer(&mut self, lane: usize, sequence: u64) {
        if let Some(barrier) = &mut self.barrier {
            barrier.left -= 1;
            barrier.ends.push((lane, sequence));
            if barrier.left == 0 {
                self.advance_barrier();
            }
        }
    }

    /// What lanes bring while an attachment is under way would come before the answer to it.
    pub(super) fn is_held(&self, client: &Client) -> bool {
        self.attaching.is_some() && matches!(client.purpose, Purpose::Reads(_))
    }
}
