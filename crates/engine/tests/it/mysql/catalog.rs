//! The catalog as a snapshot.
