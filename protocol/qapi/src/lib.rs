//! The QAPI schema language: source, tokens, checked model, and back ends for Rust, introspection and docs.
