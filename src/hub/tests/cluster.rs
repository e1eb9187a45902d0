//! Tests of hubs that are nodes of one cluster: what people on one node see of those on another.

use crate::hub::Wire;
use crate::hub::limits::Limits;
use crate::hub::types::ConnId;
use crate::testing::test_cluster::TestCluster;

/// A client on a node, which has read its greeting.
fn join(cluster: &mut TestCluster, node: usize) -> ConnId {
    let id = cluster.nodes[node].test.connect(Wire::Chat).unwrap();
    cluster.settle();
    let greeting = cluster.nodes[node].test.read(id);
    assert!(greeting.contains("you are guest"), "{greeting}");
    id
}

fn send(cluster: &mut TestCluster, node: usize, id: ConnId, text: &str) {
    cluster.nodes[node].test.send(id, text.as_bytes());
    cluster.settle();
}

fn leave(cluster: &mut TestCluster, node: usize, id: ConnId) {
    let test = &mut cluster.nodes[node].test;
    test.hub.disconnect(test.now, id);
    cluster.settle();
}

fn read(cluster: &mut TestCluster, node: usize, id: ConnId) -> String {
    cluster.nodes[node].test.read(id)
}

/// Announcements are over, and read.
fn quiet(cluster: &mut TestCluster, clients: &[(usize, ConnId)]) {
    for _ in 0..3 {
        cluster.advance(1_100_000);
    }
    for &(node, id) in clients {
        read(cluster, node, id);
    }
}

#[test]
fn lines_reach_members_on_all_nodes_but_not_their_author() {
    let mut cluster = TestCluster::new(3, Limits::default());
    let (a, b, c) = (
        join(&mut cluster, 0),
        join(&mut cluster, 1),
        join(&mut cluster, 2),
    );
    let all = [(0, a), (1, b), (2, c)];
    quiet(&mut cluster, &all);
    send(&mut cluster, 0, a, "one\n");
    send(&mut cluster, 1, b, "two\n");
    assert_eq!(read(&mut cluster, 0, a), "guest2-1: two\n");
    assert_eq!(read(&mut cluster, 1, b), "guest1-1: one\n");
    assert_eq!(read(&mut cluster, 2, c), "guest1-1: one\nguest2-1: two\n");
}

#[test]
fn comings_and_goings_are_announced_on_all_nodes_and_not_to_oneself() {
    let mut cluster = TestCluster::new(2, Limits::default());
    let a = join(&mut cluster, 0);
    quiet(&mut cluster, &[(0, a)]);
    let b = join(&mut cluster, 1);
    cluster.advance(2_000_000);
    assert_eq!(read(&mut cluster, 0, a), "* joined: guest2-1 (2 here)\n");
    assert_eq!(read(&mut cluster, 1, b), "");
    leave(&mut cluster, 1, b);
    cluster.advance(2_000_000);
    assert_eq!(read(&mut cluster, 0, a), "* left: guest2-1 (1 here)\n");
}

#[test]
fn a_name_belongs_to_the_first_who_asks_on_any_node() {
    let mut cluster = TestCluster::new(2, Limits::default());
    let (a, b) = (join(&mut cluster, 0), join(&mut cluster, 1));
    quiet(&mut cluster, &[(0, a), (1, b)]);
    cluster.nodes[0].test.send(a, b"/nick kim\n");
    cluster.nodes[1].test.send(b, b"/nick KIM\n");
    cluster.settle();
    assert!(read(&mut cluster, 0, a).contains("* you are now kim\n"));
    let refused = read(&mut cluster, 1, b);
    assert!(refused.contains("! name not changed"), "{refused}");
    send(&mut cluster, 1, b, "/who\n");
    let who = read(&mut cluster, 1, b);
    assert!(who.contains("guest2-1, kim"), "{who}");
    // It is free when its holder has left.
    leave(&mut cluster, 0, a);
    send(&mut cluster, 1, b, "/nick KIM\n");
    let renamed = read(&mut cluster, 1, b);
    assert!(renamed.contains("* you are now KIM\n"), "{renamed}");
}

#[test]
fn private_lines_cross_nodes_and_their_senders_learn_what_became_of_them() {
    let mut cluster = TestCluster::new(2, Limits::default());
    let (a, b) = (join(&mut cluster, 0), join(&mut cluster, 1));
    quiet(&mut cluster, &[(0, a), (1, b)]);
    send(&mut cluster, 0, a, "first\n/msg guest2-1 psst\n");
    assert_eq!(read(&mut cluster, 0, a), "you -> guest2-1: psst\n");
    let read_by_b = read(&mut cluster, 1, b);
    assert_eq!(read_by_b, "guest1-1: first\nguest1-1 -> you: psst\n");
    send(&mut cluster, 1, b, "/ignore guest1-1\n");
    read(&mut cluster, 1, b);
    send(&mut cluster, 0, a, "/msg guest2-1 again\n");
    let refused = read(&mut cluster, 0, a);
    assert!(refused.starts_with("! "), "{refused}");
    assert_eq!(read(&mut cluster, 1, b), "");
}

#[test]
fn rooms_span_nodes() {
    let mut cluster = TestCluster::new(2, Limits::default());
    let (a, b) = (join(&mut cluster, 0), join(&mut cluster, 1));
    quiet(&mut cluster, &[(0, a), (1, b)]);
    send(&mut cluster, 0, a, "/join pond\n");
    send(&mut cluster, 0, a, "quack\n");
    send(&mut cluster, 1, b, "/join pond\n");
    // What was said in its first room comes first.
    let left = read(&mut cluster, 1, b);
    cluster.settle();
    let entered = read(&mut cluster, 1, b);
    assert!(
        entered.contains("you are in pond (2 here)"),
        "{left}{entered}"
    );
    quiet(&mut cluster, &[(0, a), (1, b)]);
    send(&mut cluster, 1, b, "hello\n/rooms\n");
    assert_eq!(read(&mut cluster, 0, a), "guest2-1: hello\n");
    let rooms = read(&mut cluster, 1, b);
    assert!(rooms.contains("pond (2)"), "{rooms}");
}

#[test]
fn people_of_a_dead_node_are_announced_as_left_once_and_their_names_are_free() {
    let mut cluster = TestCluster::new(3, Limits::default());
    let (a, b, c) = (
        join(&mut cluster, 0),
        join(&mut cluster, 1),
        join(&mut cluster, 2),
    );
    quiet(&mut cluster, &[(0, a), (1, b), (2, c)]);
    send(&mut cluster, 2, c, "/nick kim\n");
    quiet(&mut cluster, &[(0, a), (1, b), (2, c)]);
    cluster.nodes[2].is_running = false;
    for _ in 0..6 {
        cluster.advance(3_000_000);
    }
    assert_eq!(read(&mut cluster, 0, a), "* left: kim (2 here)\n");
    assert_eq!(read(&mut cluster, 1, b), "* left: kim (2 here)\n");
    send(&mut cluster, 0, a, "/nick kim\n");
    assert!(read(&mut cluster, 0, a).contains("* you are now kim\n"));
    // It goes on, and its people are guests if their names are taken.
    cluster.nodes[2].is_running = true;
    cluster.advance(3_000_000);
    cluster.advance(3_000_000);
    let told = read(&mut cluster, 2, c);
    let taken =
        "* another has taken kim while this server was cut off; you are guest3-2 from here on\n";
    assert!(told.contains(taken), "{told}");
    send(&mut cluster, 2, c, "here again\n");
    let heard = read(&mut cluster, 1, b);
    assert!(heard.contains(": here again\n"), "{heard}");
}

#[test]
fn a_node_without_the_engine_says_so_and_its_lines_arrive_once_afterwards() {
    let mut cluster = TestCluster::new(2, Limits::default());
    let (a, b) = (join(&mut cluster, 0), join(&mut cluster, 1));
    quiet(&mut cluster, &[(0, a), (1, b)]);
    cluster.cut(0);
    cluster.advance(2_500_000);
    assert_eq!(
        read(&mut cluster, 0, a),
        "* this server is cut off from the others\n"
    );
    send(&mut cluster, 0, a, "waits\n/nick kim\n");
    let refused = read(&mut cluster, 0, a);
    assert!(refused.starts_with("! name not changed"), "{refused}");
    cluster.connect(0);
    let again = read(&mut cluster, 0, a);
    assert_eq!(again, "* this server is connected to the others again\n");
    assert_eq!(read(&mut cluster, 1, b), "guest1-1: waits\n");
}
