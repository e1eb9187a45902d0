//! One yard on several servers, which are called *nodes*: what this node tells the others, and what they tell it. Pure: the
//! engine that keeps the lanes, and the sockets to it, are the driver's.

pub mod contract;
pub mod item;
