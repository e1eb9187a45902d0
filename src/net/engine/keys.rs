//! The names of a lane's keys in the engine, and where they are in a Redis Cluster.
//!
//! `PREFIX:{TAG}:LANE:KIND`. What is in braces alone decides the *slot* (the hash tag of
//! <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>), so all keys of a lane are on one server. Tags are chosen by their slots: lanes
//! are spread evenly over all of them. The tag of the directory does not depend on how many lanes there are.

use crate::hub::link::contract::Lane;

/// Slots of a Redis Cluster.
pub const SLOTS: u16 = 16_384;

/// The keys of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneKeys {
    /// Which lane that is.
    pub lane: Lane,
    /// In which slot its keys are: `0 <= slot < SLOTS`.
    pub slot: u16,
    /// The stream of entries.
    pub log: String,
    /// A hash: the world, the number of lanes, the format of payloads, the last entry's sequence number.
    pub meta: String,
    /// A hash: incarnations that are open, each with the number of its last batch.
    pub nodes: String,
    /// A hash: rooms, each with the number of its last line.
    pub rooms: String,
    /// A hash, in the directory: names of nodes, each with its number.
    pub names: String,
    /// A hash, in the directory: incarnations that are open, each with its node's number.
    pub homes: String,
}

impl LaneKeys {
    /// The keys of all lanes: those of rooms, of which there are so many, and last the directory.
    pub fn all(prefix: &str, lanes: u8) -> Vec<LaneKeys> {
        let rooms = (0..lanes).map(|number| {
            let tag = tag(number, lanes);
            LaneKeys::new(prefix, &tag, Lane::of_rooms(number))
        });
        let directory = LaneKeys::new(prefix, "directory", Lane::DIRECTORY);
        rooms.chain([directory]).collect()
    }

    fn new(prefix: &str, tag: &str, lane: Lane) -> LaneKeys {
        let key = |kind: &str| format!("{prefix}:{{{tag}}}:{lane}:{kind}");
        LaneKeys {
            lane,
            slot: slot(tag),
            log: key("log"),
            meta: key("meta"),
            nodes: key("nodes"),
            rooms: key("rooms"),
            names: key("names"),
            homes: key("homes"),
        }
    }

    /// All keys, as scripts know them.
    pub fn six(&self) -> [&str; 6] {
        let LaneKeys {
            log,
            meta,
            nodes,
            rooms,
            names,
            homes,
            ..
        } = self;
        [log, meta, nodes, rooms, names, homes]
    }
}

/// The tag of a lane: the smallest number whose slot is in this lane's part of all slots.
fn tag(lane: u8, lanes: u8) -> String {
    let part = |slot: u16| u64::from(slot) * u64::from(lanes) / u64::from(SLOTS);
    let mut tags = (0_u32..).map(|number| number.to_string());
    tags.find(|tag| part(slot(tag)) == u64::from(lane))
        .expect("numbers reach every slot")
}

/// The slot of a tag: CRC16 (XMODEM) modulo [`SLOTS`].
fn slot(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |mut crc, byte| {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            let is_set = crc & 0x8000 != 0;
            crc = (crc << 1) ^ if is_set { 0x1021 } else { 0 };
        }
        crc
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // CRC16 of "123456789" is 0x31c3; the others are those that redis-server 7.0 answers to CLUSTER KEYSLOT.
        for (tag, at) in [
            ("123456789", 0x31c3),
            ("foo", 12_182),
            ("bar", 5_061),
            ("hello", 866),
        ] {
            assert_eq!(slot(tag), at, "{tag}");
        }
    }

    #[test]
    fn lanes_are_spread_evenly_over_the_servers_of_a_cluster() {
        for lanes in [3, 16, 64, Lane::ROOMS_MAX] {
            for servers in [2, 3, 4, 7] {
                let mut held = vec![0_i32; servers];
                for keys in &LaneKeys::all("madang", lanes)[..usize::from(lanes)] {
                    held[usize::from(keys.slot) * servers / usize::from(SLOTS)] += 1;
                }
                let (most, least) = (held.iter().max(), held.iter().min());
                let spread = most.unwrap() - least.unwrap();
                assert!(spread <= 2, "{lanes} lanes over {servers}: {held:?}");
            }
        }
    }

    #[test]
    fn the_names_of_keys_never_change() {
        let all = LaneKeys::all("chat:eu", 16);
        assert_eq!(all.len(), 17);
        assert_eq!(all[16].log, "chat:eu:{directory}:directory:log");
        assert_eq!(LaneKeys::all("chat:eu", 3)[3], all[16]);
    }
}
