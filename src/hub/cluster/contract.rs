//! The part of the hub's contract that concerns other nodes: what the engine has sent goes in, what it is to do comes out.

use super::applying::apply;
use super::{Cluster, node_events, privately, telling};
use crate::hub::Hub;
use crate::hub::link::contract::{Input, Op};
use crate::hub::link::{Event, Figures, Link, Settings};
use crate::hub::types::Now;

/// Nodes.
impl Hub {
    /// The hub is one of several nodes from now on. `incarnation` is a random number. Nobody may be connected yet.
    pub fn set_cluster(&mut self, settings: Settings, incarnation: u64) {
        debug_assert!(self.clients.is_empty());
        self.cluster = Some(Box::new(Cluster::new(Link::new(settings, incarnation))));
    }

    /// Whether newcomers may come: there are no other nodes, or this one has been one of them.
    pub fn is_open(&self) -> bool {
        self.cluster
            .as_deref()
            .is_none_or(|cluster| cluster.has_joined)
    }

    /// Something has come from the engine.
    pub fn engine_input(&mut self, now: Now, input: Input<'_>) {
        let has_caught_up = matches!(input, Input::CaughtUp);
        let Some(cluster) = self.cluster.as_deref_mut() else {
            return;
        };
        let applied = cluster.link.input(now, input);
        self.tell_lost(now);
        if let Some(applied) = applied {
            let mut reading = self.reading(now);
            apply(&mut reading.cx, reading.directory, &applied);
        }
        self.node_events(now);
        if has_caught_up {
            privately::deliver_held(&mut self.context(now));
        }
        self.wake_lanes(now);
    }

    /// What the engine is to do next.
    #[must_use = "what has been taken out is to be done"]
    pub fn next_op(&mut self, now: Now) -> Option<Op> {
        self.cluster.as_deref_mut()?.link.next_op(now)
    }

    /// Does what is due of nodes. False: nothing is.
    pub(in crate::hub) fn tick_cluster(&mut self, now: Now) -> bool {
        let Some(cluster) = self.cluster.as_deref_mut() else {
            return false;
        };
        if cluster.link.tick(now) {
            self.node_events(now);
            return true;
        }
        if privately::give_up_one(&mut self.context(now)) {
            return true;
        }
        let mut reading = self.reading(now);
        node_events::tell_some(&mut reading.cx, reading.directory)
    }

    /// When [`tick_cluster`](Hub::tick_cluster) has something to do.
    pub(in crate::hub) fn cluster_deadline(&self) -> Option<Now> {
        let cluster = self.cluster.as_deref()?;
        let has_untold =
            cluster.link.is_live() && (cluster.told as usize) < self.clients.capacity();
        match has_untold {
            true => Some(Now::default()),
            false => {
                let private = cluster.private_until.front().map(|(until, _)| *until);
                cluster.link.deadline().into_iter().chain(private).min()
            }
        }
    }

    /// The node leaves the others, after all that has been said.
    pub fn stop_cluster(&mut self, now: Now) {
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.link.stop(now);
        }
    }

    /// Whether the others know that the node has left, or cannot be told.
    pub fn has_left_cluster(&self) -> bool {
        self.cluster
            .as_deref()
            .is_none_or(|cluster| cluster.link.has_stopped() || cluster.link.is_out_of_reach())
    }

    /// Everything countable of nodes, if there are others.
    pub fn cluster_figures(&self) -> Option<Figures> {
        Some(self.cluster.as_deref()?.link.figures())
    }

    fn tell_lost(&mut self, now: Now) {
        while let Some(lost) = self
            .cluster
            .as_deref_mut()
            .and_then(|it| it.link.next_lost())
        {
            node_events::lost(&mut self.context(now), &lost);
        }
    }

    fn next_node_event(&mut self) -> Option<Event> {
        self.cluster.as_deref_mut()?.link.next_event()
    }

    fn node_events(&mut self, now: Now) {
        loop {
            while let Some(event) = self.next_node_event() {
                let mut reading = self.reading(now);
                node_events::handle(&mut reading.cx, reading.directory, event);
            }
            let replayed = self
                .cluster
                .as_deref_mut()
                .and_then(|it| it.link.next_replay());
            let Some(entry) = replayed else { return };
            let mut reading = self.reading(now);
            apply(&mut reading.cx, reading.directory, &entry.applied());
        }
    }

    fn wake_lanes(&mut self, now: Now) {
        while let Some(cluster) = self.cluster.as_deref_mut()
            && let Some(lane) = cluster.link.wakes()
        {
            let blocked = cluster.blocked.remove(&lane).unwrap_or_default();
            telling::wake(&mut self.context(now), blocked);
        }
    }
}
