//! Ops carried out, and lanes read, while the engine can be used.

