//! Pauses of the process: none is a client's silence, at whatever look at the clock it falls.

use super::behavior::Behavior;
use super::client::Client;
use super::faults::Faults;
use super::network::Network;
use madang::hub::limits::Limits;
use madang::hub::{Hub, Wire};
use madang::net::scheduler::Scheduler;

/// How long a client may be silent, and a shorter pause. Microseconds.
const IDLE_US: u64 = 10_000_000;
const PAUSE_US: u64 = 8_000_000;
/// More turns than pass until a silent client is closed.
const TURNS_MAX: usize = 100;
/// Looks at the clock of two turns, and of what lies between them: a silent client is closed after more.
const LOOKS_MIN: u32 = 25;

/// Microseconds for which the process has run until it closed a client that sent nothing, with a pause at this look at the
/// clock; `None` if there were not so many looks.
fn closed_after_us(look: u32) -> Option<u64> {
    let mut network = Network::new(1, 1, Faults::default());
    let pipe = network.connect(Wire::Chat, usize::MAX);
    network.pause_later(look, PAUSE_US);
    let mut client = Client::new(0, pipe, Behavior::observer()).connected(&network);
    let limits = Limits {
        idle_timeout_us: IDLE_US,
        ..Limits::default()
    };
    let mut scheduler = Scheduler::new(network, Hub::new(limits), 1);
    for _ in 0..TURNS_MAX {
        let timeout = scheduler.timeout().unwrap_or(0);
        scheduler.net().advance(timeout);
        for event in scheduler.net().poll() {
            scheduler.event(event);
        }
        scheduler.run();
        client.send_and_read_all(scheduler.net());
        let received = String::from_utf8_lossy(&client.received);
        if received.contains("! closed: nothing received for 10 s") {
            let net = scheduler.net();
            return net.has_paused().then(|| net.active_micros());
        }
    }
    panic!("a silent client is never closed: {:?}", scheduler.timeout());
}

#[test]
fn no_pause_of_the_process_is_a_client_s_silence() {
    let mut looks = 0;
    while let Some(after_us) = closed_after_us(looks) {
        let expected = IDLE_US..IDLE_US + 1_000_000;
        assert!(expected.contains(&after_us), "look {looks}: {after_us} us");
        looks += 1;
    }
    assert!(looks > LOOKS_MIN, "only {looks} looks at the clock");
}
