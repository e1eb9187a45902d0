//! For tests and fuzzing only: a hub with clients in memory, and the bodies of the fuzz targets. Both may use private
//! parts of the crate. Never part of the program.

#[cfg(test)]
#[path = "../../tests/common/authority.rs"]
pub(crate) mod authority;
#[cfg(test)]
mod corpus;
pub mod fuzz;
#[cfg(test)]
mod contract {
    pub use crate::hub::link::contract::*;
}
#[cfg(test)]
pub(crate) mod model_engine;
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) mod test_hub;
