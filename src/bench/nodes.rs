//! What passes within a node of a cluster and between its nodes: how much, and how fast. Counts only: no socket, no clock.

use super::accounting::Accounting;
use super::plan::Plan;
use hdrhistogram::Histogram;

/// Lines from the connections at one node to those at another, or at the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The number of the senders' node.
    pub from: usize,
    /// The number of the listeners' node.
    pub to: usize,
    /// Lines, multiplied by the listeners that each was sent to.
    pub owed: u64,
    /// Of those, received in order.
    pub received: u64,
}

/// What has passed between nodes in a run.
#[derive(Debug)]
pub struct Nodes {
    count: usize,
    /// The node of each connection.
    of_connection: Vec<u8>,
    /// The first connection that sends.
    first_sender: usize,
    /// For each sending node, and within it for each receiving one: lines received.
    received: Vec<u64>,
    /// Nanoseconds until a line reached listeners at its sender's node.
    pub near_ns: Histogram<u64>,
    /// … at other nodes.
    pub far_ns: Histogram<u64>,
}

impl Nodes {
    /// The nodes of a run that has not begun; `None` if there is one server only. `empty` is an empty histogram.
    pub fn new(plan: &Plan, empty: &Histogram<u64>) -> Option<Nodes> {
        let count = plan.targets.len();
        (count > 1).then(|| Nodes {
            count,
            of_connection: plan.nodes(),
            first_sender: plan.receivers as usize,
            received: vec![0; count * count],
            near_ns: empty.clone(),
            far_ns: empty.clone(),
        })
    }

    /// A listener has received a sender's line in order; after how long, if it reads all the time.
    pub fn received(&mut self, connection: usize, sender: usize, latency_ns: Option<u64>) {
        let from = self.of_connection[self.first_sender + sender] as usize;
        let to = self.of_connection[connection] as usize;
        self.received[from * self.count + to] += 1;
        let histogram = match from == to {
            true => &mut self.near_ns,
            false => &mut self.far_ns,
        };
        if let Some(ns) = latency_ns {
            histogram.saturating_record(ns);
        }
    }

    /// All that was to pass, and has: one for each pair of nodes.
    pub fn passages(&self, plan: &Plan, accounting: &Accounting) -> Vec<Passage> {
        let rooms = plan.rooms as usize;
        let mut listeners = vec![0_u64; rooms * self.count];
        for (connection, &node) in self.of_connection.iter().enumerate() {
            listeners[plan.room(connection) * self.count + node as usize] += 1;
        }
        let mut owed = vec![0; self.count * self.count];
        for sender in 0..plan.senders as usize {
            let connection = self.first_sender + sender;
            let (from, room) = (
                self.of_connection[connection] as usize,
                plan.room(connection),
            );
            for to in 0..self.count {
                let all = listeners[room * self.count + to] - u64::from(from == to);
                owed[from * self.count + to] += all * u64::from(accounting.sent(sender));
            }
        }
        let passage = |at: usize| Passage {
            from: at / self.count,
            to: at % self.count,
            owed: owed[at],
            received: self.received[at],
        };
        (0..owed.len()).map(passage).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::example;
    use super::*;

    #[test]
    fn lines_are_counted_by_the_nodes_of_their_sender_and_listener() {
        let one = example().targets;
        let plan = Plan {
            targets: [&*one, &*one].concat(),
            receivers: 4,
            senders: 2,
            rooms: 1,
            slow_readers: 0,
            ..example()
        };
        let empty = Histogram::new(3).unwrap();
        let mut nodes = Nodes::new(&plan, &empty).unwrap();
        let mut accounting = Accounting::new(&plan);
        assert_eq!(plan.nodes(), [0, 1, 0, 1, 0, 1]);
        accounting.send(0, 4);
        nodes.received(0, 0, Some(5));
        nodes.received(1, 0, Some(7));
        nodes.received(3, 0, None);
        assert_eq!((nodes.near_ns.len(), nodes.far_ns.max()), (1, 7));
        let passages = nodes.passages(&plan, &accounting);
        let counts: Vec<_> = passages
            .iter()
            .map(|it| (it.from, it.to, it.owed, it.received))
            .collect();
        assert_eq!(
            counts,
            [(0, 0, 2, 1), (0, 1, 3, 2), (1, 0, 0, 0), (1, 1, 0, 0)]
        );
        assert!(Nodes::new(&example(), &empty).is_none());
    }
}
