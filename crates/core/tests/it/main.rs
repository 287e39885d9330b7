//! Tests of whole files and corpora.

mod split;
