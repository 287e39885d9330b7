//! What the test harness promises, tried on the real servers and peers.

#![cfg(test)]

mod databases;
mod peers;
mod servers;
mod tls;
