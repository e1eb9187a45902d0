//! Several hubs that are nodes of one cluster, over a model of the engine. Whatever is under way is carried out by
//! [`settle`](TestCluster::settle), and faults are made by the caller.

use super::model_engine::{ModelDriver, ModelEngine, Read};
use super::test_hub::TestHub;
use crate::hub::limits::Limits;
use crate::hub::link::Settings;
use crate::hub::link::contract::{Input, Lane};

/// Lanes for rooms.
const LANES: u8 = 4;

/// One node.
pub struct Node {
    pub test: TestHub,
    driver: ModelDriver,
    /// It runs.
    pub is_running: bool,
}

/// The nodes, and their engine.
pub struct TestCluster {
    pub engine: ModelEngine,
    pub nodes: Vec<Node>,
    limits: Limits,
    incarnations: u64,
}

impl TestCluster {
    /// So many nodes, each of which has joined the others.
    pub fn new(nodes: usize, limits: Limits) -> TestCluster {
        let mut cluster = TestCluster {
            engine: ModelEngine::default(),
            nodes: Vec::new(),
            limits,
            incarnations: 0,
        };
        for number in 1..=nodes {
            cluster.start(&format!("n{number}"));
        }
        cluster
    }

    /// A node starts, and joins the others.
    pub fn start(&mut self, name: &str) -> usize {
        let mut test = TestHub::new(self.limits.clone());
        self.incarnations += 1000;
        let settings = Settings {
            name: name.into(),
            lanes: LANES,
            lane_bytes_max: 64 * 1024,
            history_entries: 100,
        };
        test.hub.set_cluster(settings, self.incarnations);
        let mut driver = ModelDriver::new(LANES);
        test.hub.engine_input(test.now, driver.connect());
        self.nodes.push(Node {
            test,
            driver,
            is_running: true,
        });
        self.settle();
        self.nodes.len() - 1
    }

    /// A node loses its connection to the engine.
    pub fn cut(&mut self, node: usize) {
        let Node { test, driver, .. } = &mut self.nodes[node];
        test.hub.engine_input(test.now, driver.cut());
    }

    /// … and has one again.
    pub fn connect(&mut self, node: usize) {
        let Node { test, driver, .. } = &mut self.nodes[node];
        test.hub.engine_input(test.now, driver.connect());
        self.settle();
    }

    /// Time passes for all nodes that run.
    pub fn advance(&mut self, micros: u64) {
        for node in self.nodes.iter_mut().filter(|node| node.is_running) {
            node.test.advance(micros);
        }
        self.settle();
    }

    /// Everything that is under way arrives.
    pub fn settle(&mut self) {
        let mut rounds = 0;
        while (0..self.nodes.len()).any(|node| self.step(node)) {
            rounds += 1;
            assert!(rounds < 10_000, "it goes on for ever");
        }
        for node in &mut self.nodes {
            node.test.resume_all();
            node.test.hub.check();
        }
    }

    /// One node does what it can; false: nothing.
    fn step(&mut self, node: usize) -> bool {
        let Node {
            test,
            driver,
            is_running,
        } = &mut self.nodes[node];
        if !*is_running || !driver.is_connected() {
            return false;
        }
        let mut has_acted = false;
        while let Some(op) = test.hub.next_op(test.now) {
            driver.send(op);
            has_acted = true;
        }
        has_acted |= driver.carry_out(&mut self.engine);
        if let Some(answer) = driver.answer() {
            test.hub.engine_input(test.now, answer);
            has_acted = true;
        }
        for lane in (0..LANES).map(Lane::of_rooms).chain([Lane::DIRECTORY]) {
            match driver.read(&self.engine, lane) {
                Some(Read::Entry(stored)) => {
                    test.hub
                        .engine_input(test.now, Input::Entry(stored.entry()));
                    has_acted = true;
                }
                Some(Read::Rewound(lane)) => {
                    test.hub.engine_input(test.now, Input::Rewound(lane));
                    has_acted = true;
                }
                None => {}
            }
        }
        if let Some(caught_up) = driver.caught_up() {
            test.hub.engine_input(test.now, caught_up);
        }
        while test.hub.tick(test.now) {
            has_acted = true;
        }
        has_acted
    }
}
