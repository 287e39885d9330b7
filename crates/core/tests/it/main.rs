//! Tests of whole files and corpora.

mod data;
mod data_properties;
mod freeze;
mod split;
