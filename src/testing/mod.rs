//! For tests and fuzzing: a hub in memory, and the bodies of the fuzz targets. They are out of the reader's way here, and
//! see what the parts of the crate keep from one another; nothing of it is in the program.

#[cfg(test)]
mod corpus;
pub mod fuzz;
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) mod test_hub;
