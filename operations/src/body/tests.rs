//! Tests of the body rules.
