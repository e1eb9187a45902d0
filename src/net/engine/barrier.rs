//! Up to where all lanes of a Redis Cluster have been read: no read covers all of them there. Asks nothing itself.

/// Whether all lanes have been read up to one moment: asked of a Redis Cluster, where no read covers all lanes.
#[derive(Debug)]
pub struct Barrier {
    /// Answers that are to come.
    pub left: usize,
    /// Lanes, and the number of the last entry of each at the moment or later; those that have been read that far are gone.
    pub ends: Vec<(usize, u64)>,
}
