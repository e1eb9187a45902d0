//! A cluster of real servers over a real redis-server, and what people see while nodes and engine fail.

mod fixture;

use crate::common::{Client, DEADLINE, Launch, Next, SILENCE, until};
use fixture::{Engine, Node, Way, cluster};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

const CUT_OFF: &str = "* this server is cut off from the others";
const CONNECTED: &str = "* this server is connected to the others again";

/// What people say, up to a line that ends so, and that line.
fn said_until(client: &mut Client, last: &str) -> Vec<String> {
    let mut said = Vec::new();
    while !said
        .last()
        .is_some_and(|line: &String| line.ends_with(last))
    {
        let line = client.line_raw();
        if !line.starts_with("* ") {
            said.push(line);
        }
    }
    said
}

/// Waits until all see all others in the lobby: what is said from now on reaches everybody.
pub(crate) fn meet(clients: &mut [&mut Client]) {
    let all = clients.len();
    for client in clients {
        until("all are here", || {
            client.say("/who");
            loop {
                let line = client.line_raw();
                if line.starts_with("* here in ") {
                    return line.ends_with(&format!(" ({all})"));
                }
            }
        });
    }
}

/// How often such a line comes before this client's own word has come back from the server.
fn count_of(client: &mut Client, wanted: &str) -> usize {
    client.say("/whois nobody-at-all");
    let before = client.find("! nobody is called nobody-at-all");
    before.iter().filter(|line| line.contains(wanted)).count()
}

/// Says lines until one of them reaches the other: the cluster works again.
pub(crate) fn talks_again(speaker: &Client, listener: &mut Client) {
    let deadline = Instant::now() + DEADLINE;
    for nth in 0_u32.. {
        assert!(Instant::now() < deadline, "no line comes through");
        speaker.say(&format!("again {nth}"));
        match listener.next(SILENCE) {
            Next::Line(line) if line.contains(": again ") => return,
            Next::Line(_) | Next::Silence => {}
            other => panic!("{other:?} instead of a line"),
        }
    }
}

#[test]
#[ignore = "needs redis-server"]
fn all_nodes_have_the_same_lines_in_the_same_order_and_nobody_hears_itself() {
    let (_engine, nodes) = cluster::<3>(&[]);
    let names = ["ann", "bob", "cid"];
    let mut people: Vec<Client> = nodes
        .iter()
        .zip(names)
        .map(|(it, name)| it.connect(name))
        .collect();
    let mut listeners: Vec<Client> = nodes
        .iter()
        .zip(["l1", "l2", "l3"])
        .map(|(it, name)| it.connect(name))
        .collect();
    meet(&mut people.iter_mut().chain(&mut listeners).collect::<Vec<_>>());
    for nth in 0..200 {
        people
            .iter()
            .for_each(|person| person.say(&format!("line {nth}")));
    }
    let whole = |lines: Vec<String>| {
        lines
            .into_iter()
            .filter(|it| it.contains(": line "))
            .collect::<Vec<_>>()
    };
    let mut heard = Vec::new();
    for listener in &mut listeners {
        let mut lines = Vec::new();
        while lines.len() < 600 {
            lines.extend(whole(vec![listener.line()]));
        }
        heard.push(lines);
    }
    assert_eq!(heard[0], heard[1]);
    assert_eq!(heard[0], heard[2]);
    for (person, name) in people.iter_mut().zip(names) {
        let mut own = heard[0].clone();
        own.retain(|line| !line.starts_with(&format!("{name}: ")));
        for line in own {
            person.expect(&line);
        }
        person.expect_silence(SILENCE);
    }
}

#[test]
#[ignore = "needs redis-server"]
fn people_on_other_nodes_are_found_by_name_and_by_room() {
    let (_engine, [a, b]) = cluster::<2>(&[]);
    let (mut ann, mut bob) = (a.connect("ann"), b.connect("bob"));
    meet(&mut [&mut ann, &mut bob]);
    // Who speaks is announced before.
    bob.say("hi");
    ann.find("bob: hi");
    ann.say("/who");
    assert!(
        ann.expect_start("* here in lobby: ")
            .contains("ann, bob (2)")
    );
    ann.say("/nick Bob");
    ann.expect("! name not changed: Bob looks like a name in use");
    ann.say("/nick bob");
    ann.expect("! name not changed: bob is in use");
    ann.say("hello");
    ann.say("/msg bob psst");
    ann.expect("you -> bob: psst");
    bob.expect("ann: hello");
    bob.expect("ann -> you: psst");
    bob.say("/nick rob");
    bob.expect("* you are now rob");
    ann.find("* renamed: bob -> rob");
    ann.say("/msg bob psst");
    ann.expect("! line not sent: nobody is called bob");
    bob.say("/join pond");
    bob.expect_start("* you are in pond (1 here)");
    ann.find("* left: rob (1 here)");
    ann.say("/rooms");
    assert!(ann.expect_start("* rooms: ").contains("pond (1)"));
    ann.say("/join pond");
    ann.find("* you are in pond (2 here)");
    // The guests of two nodes never have the same name.
    let guests = [&a, &b].map(|node| Client::connect(node.server.addr()).name().to_owned());
    assert!(
        guests[0] != guests[1] && guests.iter().all(|it| it.contains('-')),
        "{guests:?}"
    );
}

#[test]
#[ignore = "needs redis-server"]
fn commands_that_no_cluster_has_are_refused_in_one_line() {
    let (_engine, [a]) = cluster::<1>(&[]);
    let mut ann = a.connect("ann");
    for command in [
        "/lock",
        "/unlock",
        "/invite",
        "/register",
        "/login",
        "/unregister",
    ] {
        ann.say(&format!("{command} kim kim"));
        ann.expect(&format!(
            "! {command} cannot be used on a server of a cluster"
        ));
    }
}

#[test]
#[ignore = "needs redis-server"]
fn history_is_the_same_on_a_node_that_starts_later() {
    let engine = Engine::start();
    let a = Node::start(&engine, "a", &["--history", "10"]);
    let mut ann = a.connect("ann");
    ann.say("/join pond");
    ann.expect_start("* you are in pond");
    for nth in 1..=3 {
        ann.say(&format!("line {nth}"));
    }
    let mut eve = a.connect("eve");
    eve.say("/join pond");
    eve.find("ann: line 3");
    let b = Node::start(&engine, "b", &["--history", "10"]);
    let mut bob = b.connect("bob");
    bob.say("/join pond");
    bob.find("* the last 3 lines:");
    for line in ["ann: line 1", "ann: line 2", "ann: line 3", "* now"] {
        assert_eq!(bob.line_raw(), line);
    }
}

#[test]
#[ignore = "needs redis-server"]
fn people_of_a_killed_node_leave_once_and_their_names_are_free() {
    let (engine, [a, b, c]) = cluster::<3>(&[]);
    let (mut ann, mut bob, mut cid) = (a.connect("ann"), b.connect("bob"), c.connect("cid"));
    meet(&mut [&mut ann, &mut bob, &mut cid]);
    c.server.signal(Signal::KILL);
    for client in [&mut ann, &mut bob] {
        client.find("* left: cid (2 here)");
    }
    for client in [&mut ann, &mut bob] {
        assert_eq!(count_of(client, "cid"), 0, "it has left once");
    }
    ann.say("/nick cid");
    ann.expect("* you are now cid");
    // The same node again, at once.
    drop(c);
    let c = Node::start(&engine, "c", &[]);
    let dan = c.connect("dan");
    dan.say("back");
    bob.find("dan: back");
}

#[test]
#[ignore = "needs redis-server"]
fn a_node_that_ends_in_order_is_gone_at_once() {
    let (_engine, [a, mut b]) = cluster::<2>(&[]);
    let (mut ann, mut bob) = (a.connect("ann"), b.connect("bob"));
    meet(&mut [&mut ann, &mut bob]);
    bob.say("last words");
    b.server.shut_down();
    ann.find("bob: last words");
    ann.find("* left: bob (1 here)");
    ann.say("/nick bob");
    ann.expect("* you are now bob");
}

#[test]
#[ignore = "needs redis-server"]
fn a_node_that_was_stopped_is_gone_for_the_others_and_comes_back() {
    let (_engine, [a, b]) = cluster::<2>(&[]);
    let (mut ann, mut bob) = (a.connect("ann"), b.connect("bob"));
    meet(&mut [&mut ann, &mut bob]);
    b.server.signal(Signal::STOP);
    bob.say("said while it was stopped");
    ann.find("* left: bob (1 here)");
    b.server.signal(Signal::CONT);
    ann.find("bob: said while it was stopped");
    talks_again(&ann, &mut bob);
    meet(&mut [&mut ann, &mut bob]);
}

#[test]
#[ignore = "needs redis-server"]
fn a_node_that_is_cut_off_says_so_once_and_its_lines_arrive_later_once_and_in_order() {
    let (_engine, [a, b]) = cluster::<2>(&[]);
    let (mut ann, mut bob) = (a.connect("ann"), b.connect("bob"));
    meet(&mut [&mut ann, &mut bob]);
    for way in [Way::Cut, Way::Stalled] {
        b.proxy.set(way);
        bob.say("one");
        bob.say("two");
        bob.find(CUT_OFF);
        bob.say("/nick rob");
        bob.expect("! name not changed: this server is cut off from the others");
        bob.say("/msg ann psst");
        bob.expect("! line not sent: this server is cut off from the others");
        b.proxy.set(Way::Open);
        bob.find(CONNECTED);
        bob.say("three");
        assert_eq!(
            said_until(&mut ann, "three"),
            ["bob: one", "bob: two", "bob: three"]
        );
        assert_eq!(count_of(&mut bob, CUT_OFF), 0, "it is told once");
    }
}

#[test]
#[ignore = "needs redis-server"]
fn a_line_whose_answer_is_lost_arrives_once() {
    let (_engine, [a, b]) = cluster::<2>(&[]);
    let (mut ann, mut bob) = (a.connect("ann"), b.connect("bob"));
    let mut cid = b.connect("cid");
    meet(&mut [&mut ann, &mut bob, &mut cid]);
    for nth in 0..5 {
        b.proxy.set(Way::Deaf);
        bob.say(&format!("line {nth}"));
        ann.find(&format!("bob: line {nth}"));
        b.proxy.set(Way::Cut);
        b.proxy.set(Way::Open);
        bob.say(&format!("after {nth}"));
        assert_eq!(
            said_until(&mut ann, &format!("after {nth}")),
            [format!("bob: after {nth}")]
        );
        // What is on its way keeps the next line back: so that must have come back before.
        cid.find(&format!("bob: after {nth}"));
    }
}

#[test]
#[ignore = "needs redis-server"]
fn an_engine_that_is_killed_and_started_again_loses_nobody_and_no_waiting_line() {
    let (mut engine, [a, b]) = cluster::<2>(&[]);
    let (mut ann, mut bob) = (a.connect("ann"), b.connect("bob"));
    meet(&mut [&mut ann, &mut bob]);
    engine.kill();
    ann.say("into the dark");
    for client in [&mut ann, &mut bob] {
        client.find(CUT_OFF);
    }
    engine.restart();
    for client in [&mut ann, &mut bob] {
        client.find(CONNECTED);
    }
    ann.say("after");
    assert_eq!(
        said_until(&mut bob, "after"),
        ["ann: into the dark", "ann: after"]
    );
    meet(&mut [&mut ann, &mut bob]);
}

#[test]
#[ignore = "needs redis-server"]
fn an_engine_that_has_forgotten_everything_is_noticed_and_all_meet_again() {
    let (engine, [a, b]) = cluster::<2>(&[]);
    let (mut ann, mut bob) = (a.connect("ann"), b.connect("bob"));
    meet(&mut [&mut ann, &mut bob]);
    for _ in 0..3 {
        assert_eq!(engine.ask("FLUSHALL").as_deref(), Some("+OK"));
        talks_again(&ann, &mut bob);
        talks_again(&bob, &mut ann);
        meet(&mut [&mut ann, &mut bob]);
        ann.say("/msg bob psst");
        bob.find("ann -> you: psst");
    }
}

#[test]
#[ignore = "needs redis-server"]
fn connections_that_the_engine_closes_cost_no_line() {
    let (engine, [a, b]) = cluster::<2>(&[]);
    let (mut ann, mut bob) = (a.connect("ann"), b.connect("bob"));
    meet(&mut [&mut ann, &mut bob]);
    let mut sent = Vec::new();
    for nth in 0..200 {
        ann.say(&format!("line {nth}"));
        sent.push(format!("ann: line {nth}"));
        if nth % 40 == 20 {
            let killed = engine.ask("CLIENT KILL TYPE normal SKIPME yes");
            assert!(killed.is_some_and(|it| it.starts_with(':')));
        }
    }
    assert_eq!(said_until(&mut bob, "line 199"), sent);
}

#[test]
#[ignore = "needs redis-server"]
fn a_node_with_another_number_of_lanes_does_not_start() {
    let (_engine, [a]) = cluster::<1>(&[]);
    let flags = [
        "--cluster",
        &a.url,
        "--cluster-name",
        "b",
        "--cluster-lanes",
        "5",
    ];
    let failure = Launch::new(&flags).fail();
    assert_eq!(failure.code, Some(1), "{failure:?}");
    let said = failure.stderr.lines().last().unwrap_or_default().to_owned();
    assert!(
        said.contains("--cluster-lanes 5") && said.contains('4'),
        "{said}"
    );
}

#[test]
#[ignore = "needs redis-server"]
fn the_load_generator_accounts_for_every_line_over_all_nodes() {
    let (_engine, nodes) = cluster::<3>(&[]);
    let places = nodes.each_ref().map(|node| node.server.addr().to_string());
    let mut bench = Command::new(env!("CARGO_BIN_EXE_madang"));
    let bench = bench.args(["bench", "--nodes", &places.join(",")]);
    let flags = [
        "--clients",
        "30",
        "--senders",
        "6",
        "--rooms",
        "3",
        "--lines",
        "3000",
        "--window",
        "20",
    ];
    let output = bench.args(flags).output().expect("run madang");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "needs redis-server"]
fn figures_of_a_node_are_documented_and_say_how_it_is() {
    let (mut engine, [a, _b]) = cluster::<2>(&["--metrics", "127.0.0.1:0"]);
    let figures = || {
        let mut page = TcpStream::connect(a.server.metrics_addr()).expect("a connection");
        let request = b"GET /metrics HTTP/1.0\r\nHost: a\r\n\r\n";
        page.write_all(request).expect("a request");
        let mut text = String::new();
        page.read_to_string(&mut text).expect("a page");
        text
    };
    let docs = fs::read_to_string("docs/cluster.md").expect("the page");
    let rows = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| `madang_"));
    let documented: BTreeSet<&str> = rows
        .filter_map(|row| row.split(['`', '{']).next())
        .collect();
    let page = figures();
    let shown = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE madang_"));
    let shown = shown.filter_map(|line| line.split(' ').next());
    let shown: BTreeSet<&str> = shown.filter(|it| it.starts_with("cluster_")).collect();
    assert_eq!(documented, shown);
    until("both nodes are ready", || {
        figures().contains("madang_cluster_nodes{state=\"ready\"} 2")
    });
    assert!(figures().contains("madang_cluster_connected 1"));
    engine.kill();
    until("it notices that the engine is gone", || {
        let page = figures();
        page.contains("madang_cluster_connected 0")
            && page.contains("madang_cluster_disconnections_total 1")
    });
}
