//! Tests of whole files and corpora.

mod data;
mod split;
