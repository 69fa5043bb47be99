//! Boards, run state, hart threads, firmware and kernel loading, and the qtest protocol.

pub mod qtest;
